import { Agent } from 'node:http';

/** Where one revision's instance listens, and what is under way there. */
export interface Backend {
  readonly port: number;
  readonly agent: Agent;
  /** Counts an exchange until the returned function is called. */
  enter(): () => void;
  /** Waits until nothing is under way, at most so long. Returns whether that was reached. */
  drain(milliseconds: number, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

export function createBackend(port: number): Backend {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo' });
  const waiting = new Set<() => void>();
  let underWay = 0;
  return {
    port,
    agent,
    enter() {
      underWay += 1;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        underWay -= 1;
        if (underWay === 0) for (const wake of waiting) wake();
      };
    },
    async drain(milliseconds, signal) {
      if (underWay === 0) return true;
      const limit = AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
      await new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          limit.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        limit.addEventListener('abort', wake, { once: true });
        if (limit.aborted) wake();
      });
      return underWay === 0;
    },
    close: () => agent.destroy(),
  };
}
