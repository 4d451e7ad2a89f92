import type { Logger } from '@cygni/core';
import { rateLimit } from 'express-rate-limit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  canStartRedis,
  type RedisServer,
  startRedis,
} from '../../../packages/queue-redis/test/support/redis-server.ts';
import { createRateLimitStores, type RateLimitStores } from '../src/rate-limit-store.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

describe.runIf(canStartRedis)('counts in Redis', () => {
  let redis: RedisServer;
  const opened: RateLimitStores[] = [];
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  /** As one server has it. */
  function open(windowMs = 60_000) {
    const stores = createRateLimitStores({ url: redis.url, cluster: false }, silent);
    opened.push(stores);
    const store = stores.createStore('rate:token:');
    rateLimit({ windowMs, store });
    return store;
  }

  async function eventually<Value>(read: () => Value | Promise<Value>): Promise<Value> {
    const signal = AbortSignal.timeout(10_000);
    for (;;) {
      try {
        return await read();
      } catch (error) {
        if (signal.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  it('are one for all servers, and of each key', async () => {
    const [one, two] = [open(), open()];
    await eventually(() => one.increment('a'));
    expect(await eventually(() => two.increment('a'))).toMatchObject({ totalHits: 2 });
    expect(await one.increment('a')).toMatchObject({ totalHits: 3 });
    expect(await one.increment('b')).toMatchObject({ totalHits: 1 });
  });

  it('begin again with each window', async () => {
    const store = open(60_000);
    const { resetTime } = await eventually(() => store.increment('a'));
    expect(resetTime?.getTime()).toBeGreaterThan(Date.now());
    await redis.client.pexpire('rate:token:a', 0);
    expect(await store.increment('a')).toMatchObject({ totalHits: 1 });
    expect(await redis.client.pttl('rate:token:a')).toBeGreaterThan(0);
  });

  it('reject at once without Redis, and go on when it is back, also if it was away at the start', async () => {
    await redis.kill();
    const store = open();
    await expect(store.increment('a')).rejects.toThrow();
    await redis.start();
    expect(await eventually(() => store.increment('a'))).toMatchObject({ totalHits: 1 });
    await redis.kill();
    await expect(store.increment('a')).rejects.toThrow();
    await redis.start();
    expect(await eventually(() => store.increment('a'))).toMatchObject({ totalHits: 1 });
  });

  it('reject within bounds while Redis hangs', async () => {
    const store = open();
    await eventually(() => store.increment('a'));
    redis.pause();
    await expect(store.increment('a')).rejects.toThrow(/timed out/);
    redis.resume();
  });
});
