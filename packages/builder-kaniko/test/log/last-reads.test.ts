import { describe, expect, it } from 'vitest';
import { createLastReads, type LastRead } from '../../src/log/last-reads.ts';

const half = { bytes: Buffer.from('2026-01-01T00:00:00Z 1855'), cut: false };
const more = { bytes: Buffer.from('2026-01-01T00:00:00Z 185564'), cut: false };

/** What each read in turn says of the log. */
function judge(...reads: readonly Partial<LastRead>[]): boolean[] {
  const lastReads = createLastReads();
  return reads.map(({ asked = 0, taken = asked, progress = false, rest = null }) =>
    lastReads.isWhole({ asked, taken, progress, rest }, 'any'),
  );
}

describe('the last reads of a log', () => {
  it('are not believed before they have agreed for a while', () => {
    expect(judge({ asked: 0 }, { asked: 550 }, { asked: 650 })).toEqual([false, false, true]);
  });

  it('begin to agree anew with each new line', () => {
    const progress = true;
    const reads = judge({ asked: 0 }, { asked: 650, progress }, { asked: 700 }, { asked: 1_250 });
    expect(reads).toEqual([false, false, false, true]);
  });

  it('must agree for longer where the last line has no end', () => {
    const reads = [{ asked: 0 }, { asked: 500 }, { asked: 1999 }, { asked: 2000 }];
    expect(judge(...reads.map((read) => ({ ...read, rest: half })))).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  it('are believed at once where the end was expected', () => {
    const lastReads = createLastReads();
    const read = { asked: 0, taken: 5, progress: false, rest: null };
    expect(lastReads.isWhole(read, 'expected')).toBe(false);
    expect(lastReads.isWhole({ ...read, asked: 5, taken: 10 }, 'expected')).toBe(true);
  });

  it('do not agree while the last line grows', () => {
    const reads = judge(
      { asked: 0, rest: half },
      { asked: 2500, rest: more },
      { asked: 4400, rest: more },
      { asked: 4600, rest: more },
    );
    expect(reads).toEqual([false, false, false, true]);
  });

  it('count no time that it took to take an answer: the node may have read the file at its begin', () => {
    const reads = judge(
      { asked: 0, taken: 3000, rest: half },
      { asked: 3010, taken: 6000, rest: half },
      { asked: 6010, taken: 6020, rest: half },
    );
    expect(reads).toEqual([false, false, true]);
  });
});
