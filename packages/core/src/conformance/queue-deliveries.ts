import type { Delivery } from '../contracts/queue.ts';
import {
  drained,
  messageOf,
  type QueueUnderTest,
  queueCall,
  startConsumer,
} from './queue-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => messageOf(`message-${index}`));

export function testDeliveries(
  { describe, it, expect }: TestFunctions,
  current: () => QueueUnderTest,
): void {
  describe('messages', () => {
    it('are handed out in the order in which they came, those that waited and those that come', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('first'), messageOf('second')], queueCall());
      const consumer = startConsumer(queue, async ({ message }) => {
        if (message.id === 'second') await queue.enqueue([messageOf('third')], queueCall());
      });
      await consumer.delivered(3);
      await consumer.stop();
      expect(consumer.ids).toEqual(['first', 'second', 'third']);
      expect(consumer.deliveries.map(({ deliveries }) => deliveries)).toEqual([1, 1, 1]);
      expect(consumer.deliveries.every(({ waitedSeconds }) => waitedSeconds >= 0)).toBe(true);
    });

    it('go to the consumers of their kind', async () => {
      const { queue } = current();
      const deployment = messageOf('a deployment', { kind: 'deployment' });
      await queue.enqueue([deployment, messageOf('a build')], queueCall());
      const builds = startConsumer(queue, async () => {});
      await builds.delivered(1);
      expect((await queue.stats(queueCall())).depth).toMatchObject({ deployment: 1 });
      const deployments = startConsumer(queue, async () => {}, {}, 'deployment');
      await deployments.delivered(1);
      await Promise.all([builds.stop(), deployments.stop()]);
      expect([...builds.ids, ...deployments.ids]).toEqual(['a build', 'a deployment']);
    });

    it('of high priority go before the others', async () => {
      const { queue } = current();
      await queue.enqueue(
        [messageOf('1'), messageOf('2'), messageOf('urgent', { priority: 'high' })],
        queueCall(),
      );
      const consumer = startConsumer(queue, async () => {});
      await consumer.delivered(3);
      await consumer.stop();
      expect(consumer.ids).toEqual(['urgent', '1', '2']);
    });

    it('are shared between consumers: each goes to one', async () => {
      const { queue } = current();
      const consumers = [1, 2, 3].map(() =>
        startConsumer(queue, async () => {}, { concurrency: 2 }),
      );
      await queue.enqueue(numbered(60), queueCall());
      await drained(queue);
      await Promise.all(consumers.map((consumer) => consumer.stop()));
      const ids = consumers.flatMap((consumer) => consumer.ids);
      expect([...ids].sort()).toEqual(
        numbered(60)
          .map(({ id }) => id)
          .sort(),
      );
    });

    it('wait once, however often they are sent', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('same'), messageOf('same')], queueCall());
      await Promise.all([1, 2, 3].map(() => queue.enqueue([messageOf('same')], queueCall())));
      expect((await queue.stats(queueCall())).depth).toEqual({ build: 1, deployment: 0 });
    });

    it('that are sent while the same is being handled are handed out afterwards', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('again')], queueCall());
      let first = true;
      const consumer = startConsumer(queue, async () => {
        if (first) {
          first = false;
          await queue.enqueue([messageOf('again')], queueCall());
          await queue.enqueue([messageOf('again')], queueCall());
        }
      });
      await consumer.delivered(2);
      await drained(queue);
      await consumer.stop();
      expect(consumer.ids).toEqual(['again', 'again']);
      expect(consumer.deliveries[1]).toMatchObject({ deliveries: 1 });
    });

    it('that have been handled can be sent again', async () => {
      const { queue } = current();
      const consumer = startConsumer(queue, async () => {});
      for (const count of [1, 2, 3]) {
        await queue.enqueue([messageOf('again')], queueCall());
        await consumer.delivered(count);
      }
      await consumer.stop();
      expect(consumer.ids).toHaveLength(3);
    });

    it('of an unknown version stay for a consumer that knows it, and keep no other waiting', async () => {
      const { queue } = current();
      const consumer = startConsumer(queue, async () => {}, { maximumDeliveries: 1 });
      await queue.enqueue([messageOf('of tomorrow', { v: 2 }), messageOf('known')], queueCall());
      await consumer.delivered(1);
      await queue.enqueue([messageOf('known too')], queueCall());
      await consumer.delivered(2);
      await consumer.stop();
      expect(consumer.ids).toEqual(['known', 'known too']);
      expect(consumer.deadLetters).toEqual([]);
      expect((await queue.stats(queueCall())).depth).toMatchObject({ build: 1 });
    });
  });

  describe('consuming', () => {
    it('runs as many handlers at once as it may, and no more', async () => {
      const { queue } = current();
      let running = 0;
      let most = 0;
      const three = Promise.withResolvers<void>();
      await queue.enqueue(numbered(20), queueCall());
      const consumer = startConsumer(
        queue,
        async () => {
          running += 1;
          most = Math.max(most, running);
          if (running === 3) three.resolve();
          await three.promise;
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
        },
        { concurrency: 3 },
      );
      await consumer.delivered(20);
      await consumer.stop();
      expect(most).toBe(3);
    });

    it('counts the concurrency of each kind by itself', async () => {
      const { queue } = current();
      const both = Promise.withResolvers<void>();
      const seen = new Set<string>();
      const handler = async ({ message }: Delivery) => {
        seen.add(message.kind);
        if (seen.size === 2) both.resolve();
        await both.promise;
      };
      const consumers = [
        startConsumer(queue, handler),
        startConsumer(queue, handler, {}, 'deployment'),
      ];
      await queue.enqueue([messageOf('1'), messageOf('2', { kind: 'deployment' })], queueCall());
      await Promise.all(consumers.map((consumer) => consumer.delivered(1)));
      await both.promise;
      await Promise.all(consumers.map((consumer) => consumer.stop()));
    });

    it('leaves in the queue what no handler is free for, and tells how much and how old that is', async () => {
      const { queue } = current();
      const release = Promise.withResolvers<void>();
      const consumer = startConsumer(queue, () => release.promise);
      await queue.enqueue([messageOf('in hand')], queueCall());
      await consumer.delivered(1);
      expect(await queue.stats(queueCall())).toEqual({
        depth: { build: 0, deployment: 0 },
        oldestAgeSeconds: 0,
      });
      await queue.enqueue(numbered(10), queueCall());
      await new Promise((resolve) => setTimeout(resolve, 20));
      const { depth, oldestAgeSeconds } = await queue.stats(queueCall());
      expect(depth).toEqual({ build: 10, deployment: 0 });
      expect(oldestAgeSeconds > 0 && oldestAgeSeconds < 30).toBe(true);
      release.resolve();
      await consumer.delivered(11);
      await consumer.stop();
    });
  });
}
