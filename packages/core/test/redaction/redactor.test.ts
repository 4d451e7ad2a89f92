import { createRedactor } from '@cygni/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const secret = 'hunter22-of-the-registry';
const mark = '[redacted]';

/** What a stream of lines looks like to whoever reads it. */
function redactLines(secrets: readonly string[], lines: readonly string[]): string[] {
  return lines.map(createRedactor(secrets).openStream());
}

function cutAt(text: string, places: readonly number[]): string[] {
  const sorted = [...new Set(places.map((place) => place % (text.length + 1)))].sort(
    (left, right) => left - right,
  );
  const ends = [...sorted, text.length];
  return ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end));
}

const bare = (text: string) => text.replaceAll(/\s/g, '');
const alphabet = fc.constantFrom(...'abAB01+/=- .');
const secrets = fc
  .string({ unit: alphabet, minLength: 4, maxLength: 24 })
  .filter((text) => bare(text).length >= 4);
const noise = fc.string({ unit: alphabet, maxLength: 40 });
const places = fc.array(fc.nat(200), { maxLength: 6 });

describe('the redactor', () => {
  it.each<[string, string]>([
    ['as it is', secret],
    ['in base64', Buffer.from(secret).toString('base64')],
    ['in base64 behind a user name', Buffer.from(`cygni:${secret}`).toString('base64')],
    ['in base64 behind one letter', Buffer.from(`a${secret}b`).toString('base64')],
    ['in hexadecimal', Buffer.from(secret).toString('hex')],
    ['with colours in it', `${secret.slice(0, 9)}\u001b[31;1m${secret.slice(9)}`],
    ['with spaces in it', [...secret].join(' ')],
  ])('takes a secret out %s', (_how, spelled) => {
    const [line = ''] = redactLines([secret], [`before ${spelled} after`]);
    expect(line).toContain(mark);
    expect(line).toMatch(/^before /);
    expect(line).toMatch(/ after$/);
    for (let start = 0; start + 8 <= spelled.length; start += 1) {
      const piece = spelled.slice(start, start + 8);
      // The name before it in the same base64 is no secret.
      if (start >= 8) expect(line).not.toContain(piece);
    }
  });

  it('takes a secret out in a URL and in JSON', () => {
    const odd = 'p@ss "word"/1\\2';
    const said = [
      encodeURIComponent(odd),
      JSON.stringify(odd),
      JSON.stringify(JSON.stringify(odd)),
    ];
    for (const line of redactLines([odd], said)) {
      expect(line).toContain(mark);
      expect(line).not.toMatch(/word|ss%20/);
    }
  });

  it('takes a key of several lines out, whole or in part', () => {
    const body = [
      'MIIEvQIBADANBgkqhkiG9w0BAQ',
      'EFAASCBKcwggSjAgEAAoIBAQDx',
      'mUa0u4n0rPj5dV7S2k==',
    ];
    const key = ['-----BEGIN KEY-----', ...body, '-----END KEY-----', ''].join('\n');
    const printed = [
      'start',
      ...key
        .trimEnd()
        .split('\n')
        .map((line) => `  ${line}\r`),
      'end',
    ];
    const clean = redactLines([key], printed);
    expect(clean.length).toBe(printed.length);
    expect(clean[0]).toBe('start');
    expect(clean.at(-1)).toBe('end');
    for (const line of body) expect(clean.join('\n')).not.toContain(line);
    expect(redactLines([key], body.slice(1)).join('\n')).not.toContain(body[1]);
  });

  it('takes base64 out that was wrapped at 20 columns', () => {
    const encoded = Buffer.from(secret.repeat(3)).toString('base64');
    const wrapped = encoded.match(/.{1,20}/g) ?? [];
    const clean = redactLines([secret.repeat(3)], ['a', ...wrapped, 'b']);
    expect(clean).toEqual(['a', ...wrapped.map(() => mark), 'b']);
  });

  it('gives each line back at once, and redacts a telling end before it knows how it goes on', () => {
    const stream = createRedactor([secret]).openStream();
    expect(stream(`token ${secret.slice(0, 10)}`)).toBe(`token ${mark}`);
    expect(stream('something else')).toBe('something else');
    expect(stream(`token ${secret.slice(0, 10)}`)).toBe(`token ${mark}`);
    expect(stream(`${secret.slice(10)} and on`)).toBe(`${mark} and on`);
  });

  it('shows at most the first five characters, if a line ends there', () => {
    const stream = createRedactor([secret]).openStream();
    expect(stream(`token ${secret.slice(0, 5)}`)).toBe(`token ${secret.slice(0, 5)}`);
    expect(stream(secret.slice(5))).toBe(mark);
  });

  it('makes one mark of secrets that overlap', () => {
    expect(redactLines(['abcdefgh', 'efghijkl'], ['x abcdefghijkl y'])).toEqual([`x ${mark} y`]);
    expect(redactLines(['abcdefgh', 'cdef'], ['x abcdefgh y'])).toEqual([`x ${mark} y`]);
  });

  it('takes secrets of four characters out, and leaves shorter ones', () => {
    expect(redactLines(['k3y!', 'abc'], ['the k3y! of abc'])).toEqual([`the ${mark} of abc`]);
  });

  it('takes out what it was told of in the middle of a stream', () => {
    const redactor = createRedactor();
    const stream = redactor.openStream();
    expect(stream(`a ${secret}`)).toBe(`a ${secret}`);
    redactor.hide(secret);
    expect(stream(`b ${secret}`)).toBe(`b ${mark}`);
  });

  it('leaves lines alone that tell no secret', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom(...'abcdefg ') })), (lines) => {
        expect(redactLines(['SECRET-01', 'SECRET-02'], lines)).toEqual(lines);
      }),
    );
  });

  it('leaves no secret in any stream, wherever the lines are cut', () => {
    fc.assert(
      fc.property(
        fc.array(secrets, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(noise, fc.nat(2), fc.nat(2)), { minLength: 1, maxLength: 4 }),
        noise,
        places,
        (all, parts, last, cuts) => {
          const spell = (text: string, how: number) =>
            how === 0 ? text : Buffer.from('a'.repeat(how - 1) + text).toString('base64');
          const text = parts
            .map(([before, which, how]) => before + spell(all[which % all.length] ?? '', how))
            .join('');
          const lines = cutAt(text + last, cuts);
          const clean = redactLines(all, lines);
          expect(clean.length).toBe(lines.length);
          // What the marks say is not what was said.
          const shown = bare(clean.join('').replaceAll(mark, '\u0001'));
          for (const each of all) expect(shown).not.toContain(bare(each));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
