import {
  drained,
  messageOf,
  type QueueUnderTest,
  queueCall,
  startConsumer,
} from './queue-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testFailures(
  { describe, it, expect }: TestFunctions,
  current: () => QueueUnderTest,
): void {
  describe('a handler that throws', () => {
    it('gets its message again, later; the others do not wait for it', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('bad'), messageOf('good')], queueCall());
      const times: number[] = [];
      const consumer = startConsumer(
        queue,
        async ({ message, deliveries }) => {
          if (message.id !== 'bad') return;
          times.push(performance.now());
          if (deliveries < 3) throw new Error('boom');
        },
        { redeliveryDelayMs: 50 },
      );
      await consumer.delivered(4);
      await drained(queue);
      await consumer.stop();
      expect(consumer.ids).toEqual(['bad', 'good', 'bad', 'bad']);
      expect(consumer.deliveries.map(({ deliveries }) => deliveries)).toEqual([1, 1, 2, 3]);
      const [first = 0, second = 0, third = 0] = times;
      // A timer may be a millisecond early by the other clock.
      expect(second - first > 45).toBe(true);
      expect(third - second > 95).toBe(true);
      expect(consumer.deadLetters).toEqual([]);
    });

    it('counts a message as waiting that comes again later', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('bad')], queueCall());
      const consumer = startConsumer(
        queue,
        async () => {
          throw new Error('boom');
        },
        { redeliveryDelayMs: 60_000 },
      );
      await consumer.delivered(1);
      await consumer.stop();
      expect((await queue.stats(queueCall())).depth).toMatchObject({ build: 1 });
    });
  });

  describe('a poison message', () => {
    it('is a dead letter after so many deliveries; others go on, and it may be sent anew', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('poison')], queueCall());
      const consumer = startConsumer(
        queue,
        async ({ message }) => {
          if (message.id === 'poison') throw new Error('boom');
        },
        { maximumDeliveries: 2 },
      );
      await consumer.delivered(2);
      await queue.enqueue([messageOf('good')], queueCall());
      await consumer.delivered(3);
      await drained(queue);
      expect(consumer.ids).toEqual(['poison', 'poison', 'good']);
      expect(consumer.deadLetters).toEqual([{ kind: 'build', id: 'poison', reason: 'deliveries' }]);
      await queue.enqueue([messageOf('poison')], queueCall());
      await consumer.delivered(4);
      await consumer.stop();
      expect(consumer.deliveries[3]).toMatchObject({ deliveries: 1 });
    });
  });

  describe('a consumer that is killed', () => {
    it('loses nothing: another gets its message, and is told that it comes again', async () => {
      const { queue, loseConsumer } = current();
      if (!loseConsumer) return;
      await queue.enqueue([messageOf('1'), messageOf('2')], queueCall());
      await loseConsumer();
      const consumer = startConsumer(queue, async () => {});
      await consumer.delivered(2);
      await consumer.stop();
      expect([...consumer.ids].sort()).toEqual(['1', '2']);
      const again = consumer.deliveries.find(({ message }) => message.id === '1');
      expect(again).toMatchObject({ deliveries: 2 });
    });
  });
}
