import type { Logger } from '@cygni/core';
import type { Store } from 'express-rate-limit';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { z } from 'zod';

/** A request waits no longer for its count: then it is let through. */
const commandTimeoutMs = 250;

/** Counts a hit in the window that its first hit began. One key at a time, so that clusters take it. */
const countHit = `
local hits = redis.call('INCR', KEYS[1])
if hits == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { hits, redis.call('PTTL', KEYS[1]) }`;

const countSchema = z.tuple([z.int().positive(), z.int()]);

export interface RateLimitStores extends AsyncDisposable {
  readonly createStore: (prefix: string) => Store;
}

/** Counts in Redis, so that replicas share the limits. While it is out of reach every count rejects at once. */
export function createRateLimitStores(
  { url, cluster }: { readonly url: string; readonly cluster: boolean },
  log: Logger,
): RateLimitStores {
  const options: RedisOptions = {
    connectTimeout: 2_000,
    commandTimeout: commandTimeoutMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times) => Math.min(50 * 2 ** times, 2_000) * (0.5 + Math.random() / 2),
  };
  const redis = cluster
    ? new Cluster([url], { redisOptions: options, enableOfflineQueue: false })
    : new Redis(url, options);
  redis.on('error', (err: unknown) => log.debug({ err }, 'rate limits: Redis is out of reach'));

  return {
    createStore(prefix) {
      let windowMs = 0;
      return {
        prefix,
        init(limit) {
          windowMs = limit.windowMs;
        },
        async increment(key) {
          const counted: unknown = await redis.eval(countHit, 1, prefix + key, windowMs);
          const [totalHits, remainingMs] = countSchema.parse(counted);
          return { totalHits, resetTime: new Date(Date.now() + remainingMs) };
        },
        async decrement(key) {
          await redis.decr(prefix + key);
        },
        async resetKey(key) {
          await redis.del(prefix + key);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}
