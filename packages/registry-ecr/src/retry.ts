import { setTimeout as delay } from 'node:timers/promises';
import { type Call, isCygniError } from '@cygni/core';
import pRetry from 'p-retry';
import { mapError } from './map-error.ts';
import type { EcrRegistrySettings } from './options.ts';

export type Retry = <Value>(
  what: string,
  call: Call,
  attempt: () => Promise<Value>,
) => Promise<Value>;

/** What AWS may ask for at most; longer than that, the caller is told at once. */
const longestRetryAfterMs = 20_000;

/** Repeats what failed for a passing reason, a bounded number of times, with jitter. Rejects with a CygniError. */
export function createRetry(settings: EcrRegistrySettings['retry']): Retry {
  return async (what, call, attempt) => {
    let wantedMs = 0;
    const mapped = async () => {
      try {
        return await attempt();
      } catch (error) {
        wantedMs = retryAfterMs(error);
        throw mapError(error, what, call.signal);
      }
    };
    try {
      return await pRetry(mapped, {
        retries: settings.retries,
        minTimeout: settings.firstDelayMs,
        maxTimeout: settings.longestDelayMs,
        randomize: true,
        signal: call.signal,
        shouldRetry: async ({ error, attemptNumber, retryDelay }) => {
          if (!isCygniError(error) || !error.retryable) return false;
          if (wantedMs > longestRetryAfterMs) return false;
          const delayMs = Math.max(wantedMs, retryDelay);
          call.log.debug(
            { attempt: attemptNumber, reason: error.message, delayMs },
            `${what}: trying again`,
          );
          if (wantedMs > retryDelay) {
            // p-retry then waits its own jittered delay on top.
            await delay(wantedMs - retryDelay, undefined, { signal: call.signal });
          }
          return true;
        },
      });
    } catch (error) {
      throw mapError(error, what, call.signal);
    }
  };
}

function retryAfterMs(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 0;
  const response: unknown = Reflect.get(error, '$response');
  if (typeof response !== 'object' || response === null) return 0;
  const headers: unknown = Reflect.get(response, 'headers');
  if (typeof headers !== 'object' || headers === null) return 0;
  const seconds = Number(Reflect.get(headers, 'retry-after'));
  return seconds > 0 ? seconds * 1_000 : 0;
}
