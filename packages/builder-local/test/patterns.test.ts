import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expand } from '../src/dockerfile/expand.ts';
import { compileIgnore } from '../src/files/dockerignore.ts';
import { compileGlob } from '../src/files/glob.ts';
import { resolvePath } from '../src/files/resolve-path.ts';
import { createDirectory, type DirectoryNode } from '../src/files/tree.ts';

const pathParts = fc.stringMatching(/^[ab/]{0,8}$/);
const patterns = fc.stringMatching(/^(?:[ab/?]|\*{1,2}|\[ab\]|\[^a\]){0,7}$/);

/** What the pattern means, as a regular expression: slow on hostile patterns, but plain. */
function toExpression(pattern: string): RegExp {
  const source = pattern.replace(/\*{2,}\/|\*{2,}|\*|\?|\[\^a\]|\[ab\]/g, (part) => {
    if (part.startsWith('**')) return part.endsWith('/') ? '(?:.*/)?' : '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    return part === '[^a]' ? '[^a/]' : part;
  });
  return new RegExp(`^${source}$`);
}

describe('a pattern', () => {
  it('matches what the regular expression of the same meaning matches', () => {
    fc.assert(
      fc.property(patterns, pathParts, (pattern, path) => {
        expect(compileGlob(pattern, { doubleStar: true })(path)).toBe(
          toExpression(pattern).test(path),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it('needs time that grows with the path, not with the ways to match it', () => {
    const matches = compileGlob(`${'*a'.repeat(100)}b`, { doubleStar: false });
    const start = performance.now();
    expect(matches('a'.repeat(4000))).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe('ignore patterns', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['a', 'a', true],
    ['a', 'a/b/c', true],
    ['a', 'b/a', false],
    ['/a/', 'a', true],
    ['./a/../b', 'b', true],
    ['*/x', 'a/x', true],
    ['*/x', 'a/b/x', false],
    ['**/x', 'x', true],
    ['**/x', 'a/b/x/y', true],
    ['a/**', 'a/b', true],
    ['a/**/b', 'a/b', true],
    ['*.md !README.md', 'README.md', false],
    ['*.md !README* README-secret.md', 'README-secret.md', true],
    ['a !a/b', 'a/b/c', false],
    ['a !a/b', 'a/c', true],
    ['[a-c]?', 'bz', true],
    ['[^a-c]?', 'bz', false],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
  ];
  it.each(cases)('%s on %s: %s', (text, path, excluded) => {
    expect(compileIgnore(text.split(' '))(path)).toBe(excluded);
  });
});

describe('expansion', () => {
  const environment = new Map([
    ['A', 'a'],
    ['EMPTY', ''],
    ['B_1', 'b'],
  ]);
  const cases: readonly (readonly [string, string])[] = [
    ['$A', 'a'],
    ['${A}x$B_1', 'axb'],
    ['$A-$UNSET-', 'a--'],
    ['${EMPTY:-d}${EMPTY-d}', 'd'],
    ['${UNSET-d}${UNSET:-$A}', 'da'],
    ['${A:+x}${EMPTY:+x}${EMPTY+y}${UNSET+z}', 'xy'],
    ['${UNSET:-${UNSET:-${A}}}', 'a'],
    ['${A?no}', 'a'],
    ['\\$A', '$A'],
    ["'$A \\'", '$A \\'],
    ['"$A \\"\\x"', 'a "\\x'],
    ['a\\ b', 'a b'],
    ['$', '$'],
    ['$$A', 'A'],
    ['€$A', '€a'],
  ];
  it.each(cases)('%s is %s', (word, expanded) => {
    expect(expand(word, environment, '\\')).toBe(expanded);
  });

  it('of any word either ends or says what is wrong', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A${}:\-+?'"\\ ]{0,30}$/), (word) => {
        try {
          expect(typeof expand(word, environment, '\\')).toBe('string');
        } catch (error) {
          expect(error).toMatchObject({ reason: 'user_error' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

it('a path never leads out of its root, whatever links are in it', () => {
  const names = fc.constantFrom('a', 'b', 'c');
  const targets = fc.stringMatching(/^(?:\/|\.\.\/|a\/|b\/|c\/|\.\/){0,6}(?:a|b|c|\.\.)$/);
  fc.assert(
    fc.property(fc.dictionary(names, targets), targets, (links, path) => {
      const root: DirectoryNode = createDirectory();
      for (const [name, target] of Object.entries(links)) {
        root.children.set(name, { kind: 'symlink', mode: 0o777, uid: 0, gid: 0, target });
      }
      try {
        const resolved = resolvePath(root, path);
        expect(resolved.split('/')).not.toContain('..');
        expect(resolved).not.toMatch(/^\//);
      } catch (error) {
        expect(error).toMatchObject({ message: expect.stringContaining('too many links') });
      }
    }),
    { numRuns: 2000 },
  );
});
