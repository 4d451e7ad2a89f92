import { randomUUID } from 'node:crypto';
import { queueConformance } from '@cygni/core/conformance';
import { createRedisQueue } from '@cygni/queue-redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { loseConsumer } from './support/lose-consumer.ts';
import { canStartRedis, type RedisServer, startRedis } from './support/redis-server.ts';
import { removeKeys } from './support/remove-keys.ts';

const given = inject('redisUrl');

describe.skipIf(given === null && !canStartRedis)('the Redis queue', () => {
  let server: RedisServer | undefined;
  let url = given ?? '';
  beforeAll(async () => {
    if (given !== null) return;
    server = await startRedis();
    url = server.url;
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  queueConformance(
    { describe, it, expect, beforeEach, afterEach },
    {
      async create() {
        const prefix = `test-${randomUUID()}`;
        const queue = createRedisQueue({ url, prefix, redeliverySeconds: 1 });
        return {
          queue,
          loseConsumer: () => loseConsumer(url, prefix),
          async dispose() {
            await queue.close();
            await removeKeys(url, prefix);
          },
        };
      },
    },
  );
});
