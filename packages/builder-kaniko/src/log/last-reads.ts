import type { RawLine } from './split-lines.ts';

/** One read of the log of a container that has ended, whose answer the server completed. */
export interface LastRead {
  /** Monotonic milliseconds at which it was asked for, and at which its answer was taken. */
  readonly asked: number;
  readonly taken: number;
  /** It gave lines that were not known. */
  readonly progress: boolean;
  /** What stands after its last line feed. */
  readonly rest: RawLine | null;
}

/**
 * How long the last reads must agree: an answer that broke off can look whole, and a busy node writes on for a while what a
 * container has left in its pipe. A last line without its line feed is more likely to be half of one.
 */
const settledMs = {
  any: { whole: 600, cut: 2_000 },
  /** A container that is known to have nothing to say any more, and that its node says does not run. */
  expected: { whole: 0, cut: 100 },
};

/**
 * Tells when what the last reads of a log give is all of it.
 *
 * An answer shows the file as it was at some moment between its request and its end, and one that is taken slowly may have
 * been read long before. So the time for which two answers agree is only what lies between the end of one and the request
 * of the other.
 */
export function createLastReads() {
  let agreedSince: number | undefined;
  let before: RawLine | null = null;
  return {
    isWhole({ asked, taken, progress, rest }: LastRead, end: keyof typeof settledMs): boolean {
      if (agreedSince === undefined || progress || !sameRest(rest, before)) agreedSince = taken;
      before = rest;
      return asked - agreedSince >= settledMs[end][rest ? 'cut' : 'whole'];
    },
  };
}

function sameRest(rest: RawLine | null, before: RawLine | null): boolean {
  if (rest === null || before === null) return rest === before;
  return rest.bytes.equals(before.bytes);
}
