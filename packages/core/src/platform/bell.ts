/**
 * Tells waiters in this process that something changed, so that they need not poll quickly.
 * Only a hint: whoever waits also looks again after a timeout, for changes made by other processes.
 */
export interface Bell {
  ring(topic: string): void;
  /**
   * Resolves on the next ring of `topic` to true; after `timeoutMs`, or when `signal` aborts, to false. Never rejects.
   */
  wait(topic: string, timeoutMs: number, signal: AbortSignal): Promise<boolean>;
}

export function createBell(): Bell {
  const waiters = new Map<string, Set<(isRung: boolean) => void>>();
  return {
    ring(topic) {
      for (const wake of [...(waiters.get(topic) ?? [])]) wake(true);
    },
    wait(topic, timeoutMs, signal) {
      if (signal.aborted) return Promise.resolve(false);
      return new Promise((resolve) => {
        const ofTopic = waiters.get(topic) ?? new Set();
        waiters.set(topic, ofTopic);
        const wake = (isRung: boolean) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
          ofTopic.delete(wake);
          if (ofTopic.size === 0 && waiters.get(topic) === ofTopic) waiters.delete(topic);
          resolve(isRung);
        };
        const onAbort = () => wake(false);
        const timer = setTimeout(onAbort, timeoutMs);
        ofTopic.add(wake);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}
