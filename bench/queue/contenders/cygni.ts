import { MESSAGE_VERSION } from '@cygni/core';
import { createRedisQueue } from '@cygni/queue-redis';
import type { CreateContender } from './contender.ts';

const log = { debug() {}, info() {}, warn: console.warn, error: console.error };

export const createCygni: CreateContender = async (url, prefix) => {
  const queue = createRedisQueue({ url, prefix });
  const call = { signal: new AbortController().signal, log };
  await queue.open(call);
  return {
    name: 'cygni',
    enqueue: (ids) =>
      queue.enqueue(
        ids.map((id) => ({ v: MESSAGE_VERSION, kind: 'build', id })),
        call,
      ),
    async consume(concurrency, onStart) {
      const abort = new AbortController();
      const consuming = queue.consume(
        'build',
        async ({ message }) => onStart(message.id),
        { concurrency, redeliveryDelayMs: 500, maximumDeliveries: 9, onDeadLetter() {} },
        { ...call, signal: abort.signal },
      );
      return {
        async stop() {
          abort.abort();
          await consuming;
        },
      };
    },
    close: () => queue.close(),
  };
};
