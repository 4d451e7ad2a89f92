import { abortedError } from '@cygni/core';

/** Lets so many through at once; who waits longest is next. */
export interface Slots {
  /** Resolves to what gives the slot back, which may be called more than once. */
  acquire(signal: AbortSignal): Promise<() => void>;
  /** Takes a slot whether one is free or not: for what runs already. */
  take(): () => void;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();

  function take(): () => void {
    free -= 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      free += 1;
      const [next] = waiting;
      if (next && free > 0) next();
    };
  }

  return {
    take,
    acquire(signal) {
      if (signal.aborted) return Promise.reject(abortedError(signal));
      if (free > 0) return Promise.resolve(take());
      return new Promise((resolve, reject) => {
        const settle = () => {
          waiting.delete(next);
          signal.removeEventListener('abort', abort);
        };
        const next = () => {
          settle();
          resolve(take());
        };
        const abort = () => {
          settle();
          reject(abortedError(signal));
        };
        waiting.add(next);
        signal.addEventListener('abort', abort, { once: true });
      });
    },
  };
}
