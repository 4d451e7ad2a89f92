import pRetry from 'p-retry';
import type { Call } from './contracts/call.ts';
import { abortedError, type CygniError } from './errors.ts';
import { systemClock } from './platform/clock.ts';

/** @param what the call in words, without secrets: `tag acme/site:1` */
export type Retry = <Value>(
  what: string,
  call: Call,
  attempt: () => Promise<Value>,
) => Promise<Value>;

export interface RetrySettings {
  /** After the first try. */
  readonly retries: number;
  /** Doubled each time. Of each delay, up to a half is left out by chance. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** What a server may ask for at most; longer than that, the caller is told at once. */
  readonly longestRetryAfterMs: number;
}

/** How an adapter reads what its peer failed with. */
export interface FailureReader {
  mapError(error: unknown, what: string, signal: AbortSignal): CygniError;
  /** How long the peer asks to be left alone; 0: it does not say. The delay comes on top. */
  retryAfterMs(error: unknown): number;
  /** Whether the same request may well succeed in a moment. Default: whether the mapped error is retryable. */
  isTransient?(error: unknown): boolean;
}

/**
 * Repeats what failed for a passing reason, a bounded number of times, later and later and never in step with others.
 * Rejects with the adapter's CygniError.
 */
export function createRetry(settings: RetrySettings, reader: FailureReader): Retry {
  return async (what, { signal, log }, attempt) => {
    let isTransient = false;
    let wantedMs = 0;
    const mapped = async () => {
      try {
        return await attempt();
      } catch (error) {
        const known = reader.mapError(error, what, signal);
        isTransient = reader.isTransient ? reader.isTransient(error) : known.retryable;
        wantedMs = reader.retryAfterMs(error);
        throw known;
      }
    };
    try {
      return await pRetry(mapped, {
        retries: settings.retries,
        // Its own delay leaves nothing to chance once it is the longest.
        minTimeout: 0,
        signal,
        shouldRetry: async ({ error, attemptNumber }) => {
          if (!isTransient || wantedMs > settings.longestRetryAfterMs) return false;
          const delayMs = Math.round(wantedMs + jitteredDelayMs(settings, attemptNumber));
          log.debug(
            { attempt: attemptNumber, reason: error.message, delayMs },
            `${what}: trying again`,
          );
          await systemClock.sleep(delayMs, signal);
          return true;
        },
      });
    } catch (error) {
      throw signal.aborted ? abortedError(signal) : reader.mapError(error, what, signal);
    }
  };
}

/** At the longest delay too, those who failed together do not come back together. */
function jitteredDelayMs({ firstDelayMs, longestDelayMs }: RetrySettings, tries: number): number {
  const most = Math.min(firstDelayMs * 2 ** (tries - 1), longestDelayMs);
  return most * (1 - Math.random() / 2);
}
