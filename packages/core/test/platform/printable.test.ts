import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toPrintable } from '../../src/platform/printable.ts';

describe('a line of a log', () => {
  it('keeps its colours', () => {
    const line = '\u001b[1;31merror\u001b[0m: \u001b[38;5;208mno such file\u001b[m';
    expect(toPrintable(line)).toBe(line);
  });

  it.each<[string, string, string]>([
    ['a cleared screen', 'a\u001b[2Jb', 'ab'],
    ['a moved cursor', 'a\u001b[10;20Hb\u001b[3A', 'ab'],
    ['a clipboard (OSC 52)', 'a\u001b]52;c;ZXZpbA==\u0007b', 'ab'],
    ['a clipboard without its end', 'a\u001b]52;c;ZXZpbA==', 'a'],
    ['a link (OSC 8)', '\u001b]8;;http://evil.test\u001b\\text\u001b]8;;\u001b\\', 'text'],
    ['a title', '\u001b]0;owned\u0007b', 'b'],
    ['a device control string', 'a\u001bP1$qm\u001b\\b', 'ab'],
    ['a reset', 'a\u001bcb', 'ab'],
    ['an alternative screen', '\u001b[?1049hb', 'b'],
    ['a sequence within a sequence', '\u001b\u001b[31m[2J', '\u001b[31m[2J'],
    ['an eight-bit sequence', 'a\u009b2Jb', 'a2Jb'],
    ['a bell and a backspace', 'a\u0007\u0008b', 'ab'],
    ['a progress bar', '10%\r20%\r\n', '10% 20%'],
    ['a forged line', 'a\n{"level":60}', 'a {"level":60}'],
    ['a NUL', 'a\0b', 'a\u{fffd}b'],
    ['half a surrogate', 'a\ud800b', 'a\u{fffd}b'],
  ])('loses %s', (_what, line, shown) => {
    expect(toPrintable(line)).toBe(shown);
  });

  it('has no control character but tabs and colours, whatever was printed', () => {
    const unit = fc.constantFrom(...'\u001b[]PX^_\\;0128mJhc\u0007\u009b\r\n\t a'.split(''));
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), (line) => {
        const shown = toPrintable(line);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        const rest = shown.replaceAll(/\u001b\[[0-9;:]*m/g, '').replaceAll('\t', '');
        expect(rest).not.toMatch(/\p{Cc}/u);
        expect(toPrintable(shown)).toBe(shown);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is read in a time that grows with its length only', () => {
    for (const piece of ['\u001b[', '\u001b[0', '\u001b]', '\u001b ', '\u001bP\u001b', '\r']) {
      const line = piece.repeat(200_000);
      expect(stripVTControlCharacters(toPrintable(line)).length).toBeLessThanOrEqual(line.length);
    }
  });
});
