import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../src/parse-json.ts';

/** What JSON holds, with whole characters only and no NUL. */
const storable = fc
  .jsonValue({ maxDepth: 8, stringUnit: 'grapheme' })
  .filter((value) => !JSON.stringify(value).includes('\\u0000'));

const bytesOf = (text: string) => new TextEncoder().encode(text);

function outcomeOf(read: () => unknown): unknown {
  try {
    return { value: read() };
  } catch {
    return 'refused';
  }
}

describe('parseJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(storable, fc.constantFrom(undefined, 2, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(parseJson(bytesOf(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('takes nothing that JSON.parse does not take, and reads the rest the same way', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]:,"\\ a1-') }), (text) => {
        const own = outcomeOf(() => parseJson(bytesOf(text)));
        if (own !== 'refused') expect(own).toEqual(outcomeOf(() => JSON.parse(text)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('refuses a name that is twice in one object, wherever that is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((name) => !name.includes('\0')),
        storable,
        fc.nat({ max: 10 }),
        (name, value, depth) => {
          const pair = `${JSON.stringify(name)}:${JSON.stringify(value)}`;
          const twice = `{${pair},"between":[{}],${pair}}`;
          const text = `${'[{"in":'.repeat(depth)}${twice}${'}]'.repeat(depth)}`;
          expect(() => parseJson(bytesOf(text))).toThrow('has a name twice');
        },
      ),
    );
  });

  it('lets the same name stand in several objects, and names stand in strings', () => {
    const text = '[{"a":1,"b":{"a":[{"a":"a"}]}},{"a":"\\"a\\":1,\\"a\\":2"}]';
    expect(parseJson(bytesOf(text))).toEqual(JSON.parse(text));
  });
});
