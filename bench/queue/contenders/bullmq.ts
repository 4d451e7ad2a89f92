import { Queue, Worker } from 'bullmq';
import type { CreateContender } from './contender.ts';

/** As its documentation shows it, with jobs removed when they are done. */
export const createBullmq: CreateContender = async (url, prefix) => {
  const connection = { url, maxRetriesPerRequest: null };
  const queue = new Queue('build', { connection, prefix });
  await queue.waitUntilReady();
  return {
    name: 'bare BullMQ',
    async enqueue(ids) {
      const opts = { removeOnComplete: true };
      await queue.addBulk(ids.map((id) => ({ name: 'build', data: { v: 1, id }, opts })));
    },
    async consume(concurrency, onStart) {
      const worker = new Worker<{ readonly id: string }>(
        'build',
        async ({ data }) => onStart(data.id),
        { connection, prefix, concurrency },
      );
      await worker.waitUntilReady();
      return { stop: () => worker.close() };
    },
    close: () => queue.close(),
  };
};
