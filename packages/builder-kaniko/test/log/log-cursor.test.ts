import { describe, expect, it } from 'vitest';
import { createLogCursor } from '../../src/log/log-cursor.ts';

const stamp = (line: number) => ({
  seconds: 1_000 + Math.floor(line / 1_000),
  nanoseconds: (line % 1_000) * 1_000_000,
});

describe('the cursor of a log', () => {
  it('takes each line once, where one answer begins again at the first line of the file', () => {
    const cursor = createLogCursor();
    cursor.begin();
    const accept = (from: number, to: number) =>
      new Set(Array.from({ length: to - from }, (_, index) => cursor.accept(stamp(from + index))));
    expect(accept(0, 2_500)).toEqual(new Set(['new']));
    expect(accept(0, 2_500)).toEqual(new Set(['seen']));
    expect(accept(2_500, 3_000)).toEqual(new Set(['new']));
  });
});
