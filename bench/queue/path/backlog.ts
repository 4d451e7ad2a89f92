import { randomUUID } from 'node:crypto';
import { createRedisQueue } from '@cygni/queue-redis';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Goals } from '../goals.ts';
import { createIdlePlatform } from './cygni.ts';
import { sourceId, tenants } from './protocol.ts';
import { createDatabase, type Servers } from './system.ts';

const log = { debug() {}, info() {}, warn: console.warn, error: console.error };
/** Builds in the queue at once: as it is by default, and far more. */
const windows = [100, 10_000];
const most = { under: 50 };
const patienceMs = 60_000;

/** What a backlog that nobody works on costs Redis, while a relay lets through as much of it as it may. */
export async function weighBacklog(servers: Servers, count: number, goals: Goals): Promise<void> {
  const databaseUrl = await createDatabase('cygni', servers.databaseUrl);
  await addQueuedBuilds(databaseUrl, count);
  const redis = new Redis(servers.redisUrl);
  console.log(`${count} queued builds, and what of Redis's memory they take`);
  for (const window of windows) {
    await redis.flushdb();
    const before = await usedMegabytes(redis);
    const place = { redisUrl: servers.redisUrl, databaseUrl, prefix: `{backlog-${randomUUID()}}` };
    const platform = createIdlePlatform(
      place,
      { maximumRunningBuildsPerTenant: 10_000, maximumDispatchedBuilds: window },
      () => {},
    );
    const queue = createRedisQueue({ url: place.redisUrl, prefix: place.prefix });
    const call = { signal: platform.stopping, log };
    await queue.open(call);
    await platform.open(AbortSignal.timeout(20_000));
    const from = performance.now();
    const running = platform.run({ roles: ['relay'], signal: platform.stopping });
    let depth = 0;
    while (depth < window) {
      platform.stopping.throwIfAborted();
      if (performance.now() - from > patienceMs) throw new Error(`only ${depth} are in the queue`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      depth = (await queue.stats(call)).depth.build;
    }
    const seconds = (performance.now() - from) / 1000;
    const used = (await usedMegabytes(redis)) - before;
    const verdict = goals.judge(used, most, ' MB');
    console.log(
      `  ${depth} in the queue after ${seconds.toFixed(1)} s: ${used.toFixed(1)} MB ${verdict}`,
    );
    await queue.close();
    await platform.close();
    await running;
    await withClient(databaseUrl, (client) =>
      client.query('UPDATE cygni.builds SET dispatched = false WHERE dispatched'),
    );
  }
  redis.disconnect();
}

/** Spread over the tenants; written past the store. */
async function addQueuedBuilds(databaseUrl: string, count: number): Promise<void> {
  await withClient(databaseUrl, async (client) => {
    await client.query(
      `INSERT INTO cygni.builds (
         tenant_id, id, source_id, repository, tags, dockerfile, build_arguments, machine, timeout_seconds,
         maximum_attempts, currency, estimate, created_at)
       SELECT ($1::text[])[1 + n % cardinality($1::text[])], gen_random_uuid(), $2, 'site', '{}', 'Dockerfile', '{}',
              'small', 600, 3, 'USD', 100, now() - n * interval '1 millisecond'
         FROM generate_series(1, $3::integer) AS n`,
      [tenants, sourceId, count],
    );
    await client.query('VACUUM ANALYZE cygni.builds');
  });
}

async function withClient(
  connectionString: string,
  work: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function usedMegabytes(redis: Redis): Promise<number> {
  const info = await redis.info('memory');
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]) / 1_000_000;
}
