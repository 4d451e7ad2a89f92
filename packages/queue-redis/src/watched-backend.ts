import { setTimeout as sleep } from 'node:timers/promises';
import { type QueueBaseOptions, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Connection } from './connections.ts';

/** How long a claim loop with nothing to do waits before it looks again: a lost wake-up costs so much. */
const longestWaitSeconds = 1;
const pauseAfterErrorMs = 200;

export interface ClaimLoop {
  /** A step of it was over: something was claimed, there was nothing, or it failed and will try again. */
  onStep(): void;
  onError(error: unknown): void;
}

/**
 * What a BullMQ worker claims through, on connections that stay ours to cut. BullMQ's own loop ends for good with the
 * first answer that is not about the connection (no memory, a command that took too long); here it does not hear of them.
 */
export function createWatchedBackend(
  name: string,
  prefix: string,
  options: QueueBaseOptions,
  connections: { readonly commands: Connection; readonly waiting: Connection },
  loop: ClaimLoop,
): RedisQueueBackend {
  const keys = new QueueKeys(prefix);
  const backend = new RedisQueueBackend(
    new RedisConnection(connections.commands, { shared: true, blocking: false }),
    name,
    keys.getKeys(name),
    (type) => keys.toKey(name, type),
    options,
    new RedisConnection(connections.waiting, { shared: true, blocking: true }),
  );
  const moveToActive = backend.moveToActive.bind(backend);
  const waitForJob = backend.waitForJob.bind(backend);

  backend.moveToActive = async (token, worker) => {
    try {
      return await moveToActive(token, worker);
    } catch (error) {
      loop.onError(error);
      await sleep(pauseAfterErrorMs * (0.5 + Math.random() / 2));
      return nothing;
    } finally {
      loop.onStep();
    }
  };
  backend.waitForJob = async (seconds) => {
    try {
      return await waitForJob(Math.min(seconds, longestWaitSeconds));
    } finally {
      loop.onStep();
    }
  };
  return backend;
}

/** As the script answers when no job waits: no job, no id, no rate limit, nothing delayed. */
const nothing = [0, 0, 0, 0];
