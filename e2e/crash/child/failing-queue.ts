import { CygniError, type Queue } from '@cygni/core';
import { Redis } from 'ioredis';
import type { Random } from '../random.ts';
import { failing } from './failing-adapters.ts';
import type { Faults } from './faults.ts';

const endTimeoutMs = 1_000;
/** Of the messages, how many are handed out twice at once, as Redis does when it took a consumer for dead. */
const twice = 0.03;

/** The queue in Redis, which may end its process, or the Redis, before and after it enqueues. */
export function failingQueue(queue: Queue, url: string, faults: Faults, random: Random): Queue {
  const disturbed: Queue = {
    ...queue,
    async enqueue(messages, call) {
      if (faults.endsRedis('queue: asked, not enqueued')) await endRedis(url);
      await queue.enqueue(messages, call);
      if (!faults.endsRedis('queue: enqueued, not acknowledged')) return;
      await endRedis(url);
      throw new CygniError('unavailable', 'Redis ended before it had answered');
    },
    consume: (kind, handler, options, call) =>
      queue.consume(
        kind,
        async (delivery, taken) => {
          const copies = random.chance(twice) ? 2 : 1;
          const handled = Array.from({ length: copies }, () => handler(delivery, taken));
          await Promise.allSettled(handled);
          await Promise.all(handled);
        },
        options,
        call,
      ),
  };
  return failing(
    disturbed,
    {
      enqueue: {
        before: 'outbox: taken, not enqueued',
        after: 'outbox: enqueued, not removed',
        answer: true,
      },
    },
    faults,
  );
}

/** As a crash would: nothing is saved. It may be gone already. */
async function endRedis(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    commandTimeout: endTimeoutMs,
    connectTimeout: endTimeoutMs,
  });
  redis.on('error', () => {});
  try {
    await redis.shutdown('NOSAVE');
  } catch {
    // The answer to it is that the connection closes.
  } finally {
    redis.disconnect();
  }
}
