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
    for (let tries = 1; ; tries += 1) {
      if (signal.aborted) throw abortedError(signal);
      try {
        return await attempt();
      } catch (error) {
        const known = reader.mapError(error, what, signal);
        const transient = reader.isTransient ? reader.isTransient(error) : known.retryable;
        const wantedMs = reader.retryAfterMs(error);
        const isWorthIt = transient && wantedMs <= settings.longestRetryAfterMs;
        if (!isWorthIt || tries > settings.retries) throw known;
        const delayMs = Math.round(wantedMs + jitteredDelayMs(settings, tries));
        log.debug({ attempt: tries, reason: known.message, delayMs }, `${what}: trying again`);
        await systemClock.sleep(delayMs, signal);
      }
    }
  };
}

/** At the longest delay too, those who failed together do not come back together. */
function jitteredDelayMs({ firstDelayMs, longestDelayMs }: RetrySettings, tries: number): number {
  const most = Math.min(firstDelayMs * 2 ** (tries - 1), longestDelayMs);
  return most * (1 - Math.random() / 2);
}
