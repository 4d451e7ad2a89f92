/**
 * Tells waiters in this process that something changed, so that they need not poll quickly.
 * Only a hint: whoever waits also looks again after a timeout, for changes made by other processes.
 */
export interface Bell {
  ring(topic: string): void;
  /** Resolves on the next ring of `topic`, after `timeoutMs`, or when `signal` aborts. Never rejects. */
  wait(topic: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
}

export function createBell(): Bell {
  const waiters = new Map<string, Set<() => void>>();
  return {
    ring(topic) {
      for (const wake of [...(waiters.get(topic) ?? [])]) wake();
    },
    wait(topic, timeoutMs, signal) {
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const ofTopic = waiters.get(topic) ?? new Set();
        waiters.set(topic, ofTopic);
        const wake = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', wake);
          ofTopic.delete(wake);
          if (ofTopic.size === 0 && waiters.get(topic) === ofTopic) waiters.delete(topic);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs);
        ofTopic.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
