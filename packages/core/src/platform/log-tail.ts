import type { Call } from '../contracts/call.ts';
import { type BuildState, isTerminalBuildState } from '../model/build.ts';
import type { LogLine } from '../model/log.ts';

/** Lines that came in one read. All who follow get the same array, so that what is made of it once can serve them all. */
export type LogBatch = readonly LogLine[];

export interface LogTailSource {
  /** Lines with a sequence above `after`. */
  read(after: number, call: Call): Promise<LogBatch>;
  state(call: Call): Promise<BuildState>;
  /** Key of the artifact that has the log; null: its lines are where they are read. */
  archive(call: Call): Promise<string | null>;
  /** Resolves when there may be something new: to true if somebody said so, to false after a while. Never rejects. */
  changed(signal: AbortSignal): Promise<boolean>;
}

interface LogEnd {
  readonly state: BuildState;
  /** Lines that the tail does not have are in this artifact. */
  readonly archive: string | null;
}

/** The end of one build's log, read once for all who follow it. */
export interface LogTail {
  /** Lines above this sequence are kept, up to the newest that was read. */
  readonly floor: number;
  /** Null: the build has not ended. Else nothing more will be read. */
  readonly end: LogEnd | null;
  /** The kept lines above sequence `after` (`floor` at least) that came in one read. Empty: there are none yet. */
  next(after: number): LogBatch;
  /** Reads on, once for all who wait. Resolves when there may be something new, or `signal` aborts. */
  advance(signal: AbortSignal): Promise<void>;
  /** Starts again at a sequence above which there is nothing: the tail was begun beyond the log's end. */
  rewind(to: number): void;
}

export interface LogTailOptions {
  /** Where it starts. */
  readonly after: number;
  /** Characters that are kept for those who are slower than others. */
  readonly keptCharacters: number;
  /** How many reads without a line pass before the build's state is asked for, unless somebody said that there is news. */
  readonly readsPerState: number;
}

interface KeptBatch {
  readonly lines: LogBatch;
  readonly last: number;
  readonly size: number;
}

/** `call`: of all reads; to be aborted when nobody follows any more. */
export function createLogTail(source: LogTailSource, options: LogTailOptions, call: Call): LogTail {
  let batches: KeptBatch[] = [];
  let kept = 0;
  let floor = options.after;
  let last = options.after;
  let end: LogEnd | null = null;
  let reading: Promise<void> | undefined;
  let idleReads = 0;
  let asksState = true;

  function keep(lines: LogBatch): void {
    last = lines.at(-1)?.sequence ?? last;
    const size = lines.reduce((sum, { text }) => sum + text.length, 0);
    batches.push({ lines, last, size });
    kept += size;
    while (kept > options.keptCharacters && batches.length > 1) {
      const dropped = batches.shift();
      kept -= dropped?.size ?? 0;
      floor = dropped?.last ?? floor;
    }
  }

  async function readOn(): Promise<void> {
    const done = new AbortController();
    // From before it reads: what somebody says meanwhile may be of what was not read.
    const changed = source.changed(AbortSignal.any([call.signal, done.signal]));
    try {
      const lines = await source.read(last, call);
      if (lines.length > 0) return keep(lines);
      if (asksState) {
        asksState = false;
        const state = await source.state(call);
        if (isTerminalBuildState(state)) return await finish(state);
      }
      const isSaid = await changed;
      idleReads = isSaid ? 0 : idleReads + 1;
      asksState = isSaid || idleReads % options.readsPerState === 0;
    } finally {
      done.abort();
    }
  }

  /** Its last lines may have come between the read that found none and the end. */
  async function finish(state: BuildState): Promise<void> {
    const lines = await source.read(last, call);
    if (lines.length > 0) {
      asksState = true;
      return keep(lines);
    }
    end = { state, archive: await source.archive(call) };
  }

  return {
    get floor() {
      return floor;
    },
    get end() {
      return end;
    },
    next(after) {
      const batch = batches.find((each) => each.last > after);
      if (!batch) return [];
      const isWhole = batch.lines.every(({ sequence }) => sequence > after);
      return isWhole ? batch.lines : batch.lines.filter(({ sequence }) => sequence > after);
    },
    async advance(signal) {
      reading ??= readOn().finally(() => {
        reading = undefined;
      });
      await settledOrAborted(reading, signal);
    },
    rewind(to) {
      if (last <= to) return;
      batches = [];
      kept = 0;
      floor = to;
      last = to;
    },
  };
}

async function settledOrAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
