import { type JobsOptions, Queue, Worker } from 'bullmq';
import type { CreateContender } from './contender.ts';

/** As its documentation shows it, with jobs removed when they are done. */
export const createPlainBullmq = createBullmq('BullMQ, plain', () => ({ removeOnComplete: true }));

/**
 * With the options that give what the wrapper gives: what waits already is not added twice, what comes while it is being
 * handled is handled once more, what fails is tried again, and what always fails is kept to be looked at.
 */
export const createEqualBullmq = createBullmq('BullMQ, same guarantees', (id) => ({
  attempts: 9,
  backoff: { type: 'exponential', delay: 500 },
  removeOnComplete: true,
  removeOnFail: 1_000,
  deduplication: { id, keepLastIfActive: true },
}));

function createBullmq(name: string, optsOf: (id: string) => JobsOptions): CreateContender {
  return async (url, prefix) => {
    const connection = { url, maxRetriesPerRequest: null };
    const queue = new Queue('build', { connection, prefix });
    await queue.waitUntilReady();
    return {
      name,
      async enqueue(ids) {
        await queue.addBulk(
          ids.map((id) => ({ name: 'build', data: { v: 1, id }, opts: optsOf(id) })),
        );
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
}
