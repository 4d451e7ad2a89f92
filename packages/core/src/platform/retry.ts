import pRetry from 'p-retry';
import { isCygniError } from '../errors.ts';

/** Repeats what failed with a retryable error: 5 tries over some 4 seconds, with jitter. */
export function retryWhileUnavailable<Value>(
  signal: AbortSignal,
  work: () => Promise<Value>,
): Promise<Value> {
  return pRetry(work, {
    retries: 4,
    minTimeout: 200,
    maxTimeout: 2_000,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isCygniError(error) && error.retryable,
  });
}
