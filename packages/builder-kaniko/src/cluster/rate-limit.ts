import { setTimeout as delay } from 'node:timers/promises';

/** Lets `perSecond` through, with bursts of as many. First come, first served. */
export function createRateLimit(perSecond: number): (signal: AbortSignal) => Promise<void> {
  const gap = 1000 / perSecond;
  let nextAt = 0;
  return async (signal) => {
    const now = performance.now();
    nextAt = Math.max(nextAt, now - 1000) + gap;
    if (nextAt > now) await delay(nextAt - now, undefined, { signal });
  };
}
