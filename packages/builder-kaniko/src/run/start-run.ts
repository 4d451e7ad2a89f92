import {
  abortedError,
  type BuildJob,
  type BuildOutcome,
  type BuildRun,
  type Call,
  CygniError,
} from '@cygni/core';
import { outcomeOfError } from './outcome-of-error.ts';
import type { RunContext } from './run-context.ts';
import { createRunLog, type OpenLog } from './run-log.ts';
import { createChange } from './signal-change.ts';
import { superviseJob } from './supervise-job.ts';

export interface KanikoRun extends BuildRun {
  /** Resolves once nothing of this run is under way in this process. */
  readonly over: Promise<void>;
}

/** Starts an attempt, or adopts its Job. Returns at once: what goes wrong is the run's outcome. */
export function startRun(job: BuildJob, context: RunContext): KanikoRun {
  const { lifetime, log } = context;
  const call: Call = { signal: lifetime, log };
  const change = createChange();
  const cancelled = new AbortController();
  const source: { open: OpenLog } = { open: async function* () {} };
  const runLog = createRunLog((after, asked) => source.open(after, asked));
  let removal: Promise<void> = Promise.resolve();

  async function run(): Promise<BuildOutcome> {
    const ended = await superviseJob({ job, context, change, cancelled, runLog, source }, call);
    removal = ended.removal;
    return ended.outcome;
  }

  const outcome = run().catch((error: unknown): BuildOutcome => {
    runLog.end();
    if (cancelled.signal.aborted && !lifetime.aborted) return cancelledOutcome;
    if (lifetime.aborted) throw abortedError(lifetime);
    return outcomeOfError(error, log);
  });
  const over = outcome.then(
    () => removal,
    () => {},
  );

  return {
    over,
    logs: ({ after }, asked) => runLog.read(after, asked),
    wait: (asked) => orAborted(outcome, asked.signal),
    async cancel(asked) {
      cancelled.abort(new CygniError('aborted', 'the build was cancelled'));
      change.happened();
      await orAborted(over, asked.signal);
    },
  };
}

const cancelledOutcome: BuildOutcome = {
  status: 'failed',
  reason: 'cancelled',
  message: 'the build was cancelled',
};

function orAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  if (signal.aborted) return Promise.reject(abortedError(signal));
  return new Promise((resolve, reject) => {
    const abort = () => reject(abortedError(signal));
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
