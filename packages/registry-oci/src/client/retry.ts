import { setTimeout as delay } from 'node:timers/promises';
import type { Call } from '@cygni/core';
import pRetry from 'p-retry';
import { isTransient, mapError } from '../map-error.ts';
import type { ImageClientSettings } from '../options.ts';
import { isResponseFailure } from './response-failure.ts';

export type Retry = <Value>(
  what: string,
  call: Call,
  attempt: () => Promise<Value>,
) => Promise<Value>;

/**
 * Repeats what failed for a passing reason, a bounded number of times, later and later and never in
 * step with others. Rejects with a CygniError.
 */
export function createRetry(settings: ImageClientSettings['retry']): Retry {
  return async (what, call, attempt) => {
    try {
      return await pRetry(attempt, {
        retries: settings.retries,
        minTimeout: settings.firstDelayMs,
        maxTimeout: settings.longestDelayMs,
        randomize: true,
        signal: call.signal,
        shouldRetry: async ({ error, attemptNumber, retryDelay }) => {
          if (!isTransient(error)) return false;
          const wanted = isResponseFailure(error) ? (error.retryAfterMs ?? 0) : 0;
          if (wanted > settings.longestRetryAfterMs) return false;
          call.log.debug(
            { attempt: attemptNumber, reason: error.message },
            `${what}: trying again`,
          );
          if (wanted > retryDelay) {
            // p-retry then waits its own jittered delay on top.
            await delay(wanted - retryDelay, undefined, { signal: call.signal });
          }
          return true;
        },
      });
    } catch (error) {
      throw mapError(error, what, call.signal);
    }
  };
}
