import { abortedError } from '@cygni/core';

/** Wakes up whoever waits for something to be different. */
export interface Change {
  /** Grows with each change. Read it before looking, so that no change in between is missed. */
  readonly count: number;
  happened(): void;
  /** Resolves once there were more changes than `count`, or after `withinMs`; rejects with `aborted`. */
  since(count: number, signal: AbortSignal, withinMs?: number): Promise<void>;
}

export function createChange(): Change {
  const waiting = new Set<() => void>();
  let count = 0;
  return {
    get count() {
      return count;
    },
    happened() {
      count += 1;
      const woken = [...waiting];
      waiting.clear();
      for (const wake of woken) wake();
    },
    since(seen, signal, withinMs) {
      if (signal.aborted) return Promise.reject(abortedError(signal));
      if (count !== seen) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const settle = () => {
          waiting.delete(wake);
          clearTimeout(timer);
          signal.removeEventListener('abort', abort);
        };
        const wake = () => {
          settle();
          resolve();
        };
        const abort = () => {
          settle();
          reject(abortedError(signal));
        };
        const timer = withinMs === undefined ? undefined : setTimeout(wake, withinMs);
        waiting.add(wake);
        signal.addEventListener('abort', abort, { once: true });
      });
    },
  };
}
