import { createRedisQueue } from '@cygni/queue-redis';
import { Queue } from 'bullmq';
import { describe, expect, it } from 'vitest';
import {
  messageOf,
  queueCall,
  startConsumer,
  until,
} from '../../core/src/conformance/queue-fixture.ts';
import { canStartRedis, startRedis } from './support/redis-server.ts';

describe.skipIf(!canStartRedis)('a message of another version', () => {
  it('is looked at again and again, and handed out for the first time to who knows its version', async () => {
    await using redis = await startRedis();
    const queue = createRedisQueue({ url: redis.url });
    const dashboard = new Queue('build', {
      connection: { url: redis.url },
      prefix: '{cygni}',
    });
    const consumer = startConsumer(queue, async () => {}, { maximumDeliveries: 1 });
    await queue.enqueue([messageOf('of tomorrow', { v: 2 })], queueCall());

    /** Resolves when it rests, having been looked at so often. */
    const rests = (looks: number) =>
      until(async () => {
        const [job] = await dashboard.getDelayed();
        return job?.attemptsStarted === looks;
      });
    for (const looks of [1, 2, 3]) {
      await rests(looks);
      // Before its time is over.
      if (looks < 3) await (await dashboard.getJob('1'))?.promote();
    }
    expect(consumer.deliveries).toEqual([]);
    expect((await queue.stats(queueCall())).depth.build).toBe(1);

    // Such a consumer does not exist yet: the message becomes one that this consumer knows.
    const job = await dashboard.getJob('1');
    await job?.updateData({ ...job.data, v: 1 });
    await job?.promote();
    await consumer.delivered(1);
    expect(consumer.deliveries).toMatchObject([{ message: { id: 'of tomorrow' }, deliveries: 1 }]);
    expect(consumer.deadLetters).toEqual([]);
    await consumer.stop();
    await dashboard.close();
    await queue.close();
  });
});
