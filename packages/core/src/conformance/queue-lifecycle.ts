import type { Call } from '../contracts/call.ts';
import type { Queue } from '../contracts/queue.ts';
import { messageOf, type QueueUnderTest, queueCall, startConsumer } from './queue-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const options = {
  concurrency: 1,
  redeliveryDelayMs: 1,
  maximumDeliveries: 1,
  onDeadLetter() {},
};

const every: {
  readonly [Method in keyof Omit<Queue, 'specVersion' | 'name' | 'close'>]: (
    queue: Queue,
    call: Call,
  ) => Promise<unknown>;
} = {
  open: (queue, call) => queue.open(call),
  ping: (queue, call) => queue.ping(call),
  enqueue: (queue, call) => queue.enqueue([messageOf('1')], call),
  consume: (queue, call) => queue.consume('build', async () => {}, options, call),
  stats: (queue, call) => queue.stats(call),
};

export function testLifecycle(
  { describe, it, expect }: TestFunctions,
  current: () => QueueUnderTest,
): void {
  describe('the life of a queue', () => {
    it('opens and closes any number of times', async () => {
      const { queue } = current();
      await Promise.all([queue.open(queueCall()), queue.open(queueCall())]);
      await queue.ping(queueCall());
      await Promise.all([queue.close(), queue.close()]);
      await queue.close();
    });

    it('opens with the first call', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('1')], queueCall());
      expect((await queue.stats(queueCall())).depth).toMatchObject({ build: 1 });
    });

    it('can be closed before it was opened', async () => {
      await current().queue.close();
    });

    it('answers nothing to a call that is aborted', async () => {
      const { queue } = current();
      for (const method of Object.values(every)) {
        const answer = method(queue, { ...queueCall(), signal: AbortSignal.abort() });
        await expect(answer).rejects.toMatchObject({ code: 'aborted', retryable: false });
      }
      expect((await queue.stats(queueCall())).depth).toMatchObject({ build: 0 });
    });

    it('answers nothing once it is closed', async () => {
      const { queue } = current();
      await queue.open(queueCall());
      await queue.close();
      for (const method of Object.values(every)) {
        await expect(method(queue, queueCall())).rejects.toMatchObject({
          code: 'closed',
          retryable: false,
        });
      }
    });

    it('ends an idle consumer when its call is aborted', async () => {
      const consumer = startConsumer(current().queue, async () => {});
      await consumer.stop();
      expect(consumer.ids).toEqual([]);
    });

    it('waits for the handlers of a consumer that is told to stop, and hands it nothing more', async () => {
      const { queue } = current();
      const release = Promise.withResolvers<void>();
      let finished = false;
      await queue.enqueue([messageOf('1'), messageOf('2')], queueCall());
      const consumer = startConsumer(queue, async () => {
        await release.promise;
        finished = true;
      });
      await consumer.delivered(1);
      const stopped = consumer.stop();
      setTimeout(() => release.resolve(), 20);
      await stopped;
      expect(finished).toBe(true);
      expect(consumer.ids).toEqual(['1']);
      expect((await queue.stats(queueCall())).depth).toMatchObject({ build: 1 });
      const next = startConsumer(queue, async () => {});
      await next.delivered(1);
      await next.stop();
      expect(next.ids).toEqual(['2']);
    });

    it('tells handlers by their call that the consumer is to stop', async () => {
      const { queue } = current();
      await queue.enqueue([messageOf('1')], queueCall());
      const consumer = startConsumer(
        queue,
        (_delivery, { signal }) =>
          new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
      );
      await consumer.delivered(1);
      await consumer.stop();
    });

    it('ends its consumers, idle and busy ones, when it is closed', async () => {
      const { queue } = current();
      const release = Promise.withResolvers<void>();
      let finished = false;
      const busy = startConsumer(queue, async () => {
        await release.promise;
        finished = true;
      });
      const idle = startConsumer(queue, async () => {}, {}, 'deployment');
      await queue.enqueue([messageOf('1')], queueCall());
      await busy.delivered(1);
      const closed = queue.close();
      setTimeout(() => release.resolve(), 20);
      await Promise.all([busy.ended, idle.ended, closed]);
      expect(finished).toBe(true);
    });
  });
}
