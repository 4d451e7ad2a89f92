import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createContext, Script } from 'node:vm';
import fc from 'fast-check';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { startApi } from '../fixtures/start-api.ts';

const packages = fileURLToPath(new URL('../../../', import.meta.url));
const limitMs = 100;
const hostileCharacters = 30_000;

type Found = readonly [where: string, literal: string];

/** The regular expressions of the code that requests meet. */
function findInSources(): Found[] {
  return globSync('{http,core}/src/**/*.ts', { cwd: packages }).flatMap((file) => {
    const text = readFileSync(packages + file, 'utf8');
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const found: Found[] = [];
    const visit = (node: ts.Node) => {
      if (ts.isRegularExpressionLiteral(node)) {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart());
        found.push([`${file}:${line + 1}`, node.text]);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

/** The patterns of the schemas, of which some are put together when the program runs. */
async function findInDocument(): Promise<Found[]> {
  await using api = await startApi();
  const text = await (await fetch(`${api.url}/openapi.json`)).text();
  const patterns = new Set<string>();
  JSON.parse(text, (key, value: unknown) => {
    if (key === 'pattern' && typeof value === 'string') patterns.add(value);
    return value;
  });
  return [...patterns].map((pattern) => ['/openapi.json', String(new RegExp(pattern))]);
}

/** What the expression itself names is what it can be led astray with. */
function piecesOf(literal: string): string[] {
  const words = literal.match(/[A-Za-z0-9]+|[^A-Za-z0-9\\]/g) ?? [];
  return [...new Set([...words, 'a', '0', ' ', '\n', '-', '.', '/', '"', '\\', '\0', 'é'])];
}

/** A beginning, a piece that is repeated again and again, and an end that spoils the match. */
function hostileTo(literal: string) {
  const piece = fc.constantFrom(...piecesOf(literal));
  const pieces = (minLength: number) =>
    fc.array(piece, { minLength, maxLength: 3 }).map((each) => each.join(''));
  return fc
    .tuple(pieces(0), pieces(1), pieces(0))
    .map(([start, pump, end]) => start + pump.repeat(hostileCharacters / pump.length) + end);
}

/** Unlike a regular expression on its own, a script ends when its time is up. Noise of the machine does not come three times. */
function endsInTime(literal: string, text: string): boolean {
  const context = createContext({ text });
  const script = new Script(`text.search(${literal})`);
  for (let tries = 0; tries < 3; tries += 1) {
    try {
      script.runInContext(context, { timeout: limitMs });
      return true;
    } catch (error) {
      if (Object(error).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    }
  }
  return false;
}

const expressions = [...findInSources(), ...(await findInDocument())];

describe('a regular expression', () => {
  it('that is hostile to itself is noticed', () => {
    expect(endsInTime('/^(a+)+$/', `${'a'.repeat(hostileCharacters)}!`)).toBe(false);
    expect(endsInTime('/a*b/', 'a'.repeat(hostileCharacters))).toBe(false);
  });

  it('of every kind of place is looked at', () => {
    const places = expressions.map(([where]) => where.split('/src/')[0]);
    expect(new Set(places)).toEqual(new Set(['http', 'core', '/openapi.json']));
  });

  it.each(expressions)('at %s takes no time on hostile input: %s', (_where, literal) => {
    fc.assert(
      fc.property(hostileTo(literal), (text) => endsInTime(literal, text)),
      { numRuns: 60 },
    );
  });
});
