import { setTimeout as delay } from 'node:timers/promises';

/** Time as the platform sees it. Tests inject their own. */
export interface Clock {
  /** For display and for budget periods; never for durations. */
  now(): Date;
  /** Milliseconds that only grow. */
  monotonic(): number;
  /** Resolves after `ms`, or as soon as `signal` aborts. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    if (signal.aborted) return;
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
};
