import { Redis } from 'ioredis';
import { z } from 'zod';
import type { CreateContender } from './contender.ts';

const group = 'workers';
const readSchema = z
  .array(
    z.tuple([z.string(), z.array(z.tuple([z.string(), z.tuple([z.literal('id'), z.string()])]))]),
  )
  .nullable();

/** XADD, XREADGROUP, XACK and XDEL: the least that redelivers after a crash, without delay, priority or dead letters. */
export const createStream: CreateContender = async (url, prefix) => {
  const stream = `${prefix}:stream`;
  const producer = new Redis(url);
  await producer.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
  return {
    name: 'bare stream',
    async enqueue(ids) {
      const pipeline = producer.pipeline();
      for (const id of ids) pipeline.xadd(stream, '*', 'id', id);
      await pipeline.exec();
    },
    async consume(concurrency, onStart) {
      const reader = new Redis(url);
      const acknowledger = new Redis(url);
      let stopped = false;
      async function loop(): Promise<void> {
        while (!stopped) {
          const answer = readSchema.parse(
            await reader.xreadgroup(
              'GROUP',
              group,
              'one',
              'COUNT',
              concurrency,
              'BLOCK',
              200,
              'STREAMS',
              stream,
              '>',
            ),
          );
          const entries = answer?.[0]?.[1] ?? [];
          await Promise.all(
            entries.map(async ([entry, [, id]]) => {
              onStart(id);
              await acknowledger.multi().xack(stream, group, entry).xdel(stream, entry).exec();
            }),
          );
        }
      }
      const looping = loop();
      return {
        async stop() {
          stopped = true;
          await looping;
          reader.disconnect();
          acknowledger.disconnect();
        },
      };
    },
    async close() {
      producer.disconnect();
    },
  };
};
