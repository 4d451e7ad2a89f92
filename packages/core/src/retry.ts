import { setTimeout as delay } from 'node:timers/promises';
import pRetry from 'p-retry';
import type { Call } from './contracts/call.ts';
import type { CygniError } from './errors.ts';

/** @param what the call in words, without secrets: `tag acme/site:1` */
export type Retry = <Value>(
  what: string,
  call: Call,
  attempt: () => Promise<Value>,
) => Promise<Value>;

export interface RetrySettings {
  /** After the first try. */
  readonly retries: number;
  /** Doubled each time, with jitter. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** What a server may ask for at most; longer than that, the caller is told at once. */
  readonly longestRetryAfterMs: number;
}

/** How an adapter reads what its peer failed with. */
export interface FailureReader {
  mapError(error: unknown, what: string, signal: AbortSignal): CygniError;
  /** How long the peer asks to be left alone; 0: it does not say. */
  retryAfterMs(error: unknown): number;
  /** Whether the same request may well succeed in a moment. Default: whether the mapped error is retryable. */
  isTransient?(error: unknown): boolean;
}

/**
 * Repeats what failed for a passing reason, a bounded number of times, later and later and never in step with others.
 * Rejects with the adapter's CygniError.
 */
export function createRetry(settings: RetrySettings, reader: FailureReader): Retry {
  return async (what, call, attempt) => {
    let transient = false;
    let wantedMs = 0;
    const mapped = async () => {
      try {
        return await attempt();
      } catch (error) {
        const known = reader.mapError(error, what, call.signal);
        transient = reader.isTransient ? reader.isTransient(error) : known.retryable;
        wantedMs = reader.retryAfterMs(error);
        throw known;
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
          if (!transient || wantedMs > settings.longestRetryAfterMs) return false;
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
      throw reader.mapError(error, what, call.signal);
    }
  };
}
