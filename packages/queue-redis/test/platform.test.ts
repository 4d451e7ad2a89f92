import { randomUUID } from 'node:crypto';
import type { Queue } from '@cygni/core';
import { createRedisQueue } from '@cygni/queue-redis';
import { createPostgresStore } from '@cygni/store-postgres';
import { describe, expect, it } from 'vitest';
import { messageOf, queueCall, until } from '../../core/src/conformance/queue-fixture.ts';
import {
  createScriptedPipeline,
  untilCancelled,
} from '../../core/test/fixtures/scripted-pipeline.ts';
import { knownDigest } from '../../core/test/fixtures/scripted-registry.ts';
import { startPlatform } from '../../core/test/fixtures/start-platform.ts';
import { startApi, type TestApi } from '../../http/test/fixtures/start-api.ts';
import {
  createTestDatabase,
  postgresUrl,
  type TestDatabase,
} from '../../store-postgres/test/support/test-database.ts';
import { loseConsumer } from './support/lose-consumer.ts';
import { canStartRedis, startRedis } from './support/redis-server.ts';

const startLimitMs = 2_000;
const answerLimitMs = 1_000;

async function post(api: TestApi, sourceId: string): Promise<string> {
  const body = { sourceId, repository: 'hello' };
  const answer = await Promise.race([
    api.postJson('/v1/builds', body),
    new Promise<never>((_resolve, reject) =>
      setTimeout(() => reject(new Error('no answer')), answerLimitMs),
    ),
  ]);
  expect(answer.status).toBe(202);
  const { id } = (await answer.json()) as { id: string };
  return id;
}

async function readiness(api: TestApi): Promise<unknown> {
  const response = await fetch(`${api.url}/readyz`);
  return { status: response.status, body: await response.json() };
}

const ready = { status: 200, body: { status: 'ready', degraded: [] } };
const degraded = { status: 200, body: { status: 'degraded', degraded: ['queue'] } };

describe.skipIf(!canStartRedis)('an API whose Redis is away', () => {
  it.each(['killed', 'paused'])(
    'accepts builds, is ready, and starts them within two seconds when it is back: %s',
    async (how) => {
      await using redis = await startRedis();
      const started: string[] = [];
      const pipeline = createScriptedPipeline(async (job) => {
        started.push(job.buildId);
        return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
      });
      const queue = createRedisQueue({ url: redis.url });
      await using api = await startApi({ queue, pipeline });
      const sourceId = await api.uploadSource();
      const first = await post(api, sourceId);
      await until(() => started.includes(first));
      expect(await readiness(api)).toEqual(ready);

      await (how === 'killed' ? redis.kill() : redis.pause());
      const accepted = [await post(api, sourceId), await post(api, sourceId)];
      expect(await readiness(api)).toEqual(degraded);
      expect(await (await fetch(`${api.url}/metrics`)).text()).toContain(
        'cygni_queue_depth{kind="build"} Nan',
      );

      await (how === 'killed' ? redis.start() : redis.resume());
      const back = performance.now();
      await until(() => accepted.every((id) => started.includes(id)));
      expect(performance.now() - back).toBeLessThan(startLimitMs);
      expect(started).toHaveLength(3);
      expect(await readiness(api)).toEqual(ready);
    },
  );

  it('answers while what it sends to a paused Redis is pending', async () => {
    await using redis = await startRedis();
    const pending = new Set<Promise<void>>();
    const started: string[] = [];
    const pipeline = createScriptedPipeline(async (job) => {
      started.push(job.buildId);
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    const redisQueue = createRedisQueue({ url: redis.url });
    const queue: Queue = {
      ...redisQueue,
      enqueue(messages, call) {
        const sending = redisQueue.enqueue(messages, call);
        pending.add(sending);
        return sending.finally(() => pending.delete(sending));
      },
    };
    await using api = await startApi({ queue, pipeline });
    const sourceId = await api.uploadSource();
    const first = await post(api, sourceId);
    await until(() => started.includes(first));

    redis.pause();
    const accepted = [await post(api, sourceId)];
    await until(() => pending.size === 1);
    const [sending] = pending;
    for (let index = 0; index < 20; index += 1) accepted.push(await post(api, sourceId));
    expect([...pending]).toEqual([sending]);

    redis.resume();
    await until(() => accepted.every((id) => started.includes(id)));
  });

  it('measures depth, age, deliveries, redeliveries and dead letters', async () => {
    await using redis = await startRedis();
    const queue = createRedisQueue({ url: redis.url, redeliverySeconds: 2 });
    await queue.enqueue(
      [messageOf('of tomorrow', { v: 2 }), messageOf(randomUUID()), messageOf('damaged')],
      queueCall(),
    );
    await loseConsumer(redis.url, '{cygni}');
    await redis.client.hset('{cygni}:build:3', 'data', '{broken');
    await using api = await startApi({ queue });
    await post(api, await api.uploadSource());
    const metrics = async () => (await fetch(`${api.url}/metrics`)).text();
    const counted = [
      'cygni_queue_delivery_seconds_count{kind="build"} 1',
      'cygni_queue_redeliveries_total{kind="build"} 1',
      'cygni_queue_dead_letters_total{kind="build"} 1',
    ];
    await until(async () => {
      const text = await metrics();
      return counted.every((line) => text.includes(line));
    });
    const text = await metrics();
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([...counted, 'cygni_queue_depth{kind="build"} 1']),
    );
    expect(text).toMatch(/cygni_queue_oldest_job_age_seconds \d+\.\d+/);
  });
});

/** Queued builds of one tenant beside one that was accepted; written past the store. */
async function addBacklog(database: TestDatabase, like: string, count: number): Promise<void> {
  await database.query(
    `INSERT INTO cygni.builds (
        tenant_id, id, state, source_id, repository, tags, dockerfile, build_arguments, machine, timeout_seconds,
        maximum_attempts, currency, estimate, created_at)
      SELECT tenant_id, gen_random_uuid(), 'QUEUED', source_id, repository, tags, dockerfile, build_arguments, machine,
             timeout_seconds, maximum_attempts, currency, estimate, now() + n * interval '1 microsecond'
        FROM cygni.builds, generate_series(1, $2::integer) AS n
       WHERE id = $1`,
    [like, count],
  );
}

describe.skipIf(!canStartRedis || postgresUrl === null)('a backlog', () => {
  const window = 100;

  it('of 100,000 builds puts no more than the window into Redis, which costs it a few megabytes', async () => {
    await using redis = await startRedis();
    await using database = await createTestDatabase();
    const store = createPostgresStore({ url: database.url });
    const pipeline = createScriptedPipeline((_job, run) => untilCancelled(run));
    const queue = createRedisQueue({ url: redis.url });
    await using test = await startPlatform({
      store,
      queue,
      pipeline,
      settings: { maximumRunningBuildsPerTenant: 10_000, buildConcurrency: 1 },
    });
    await addBacklog(database, await test.build('acme'), 100_000);
    await until(async () => (await queue.stats(queueCall())).depth.build === window);
    // Messages that are sent again and again add nothing.
    await database.query(
      `UPDATE cygni.builds SET enqueued_at = '-infinity' WHERE dispatched AND state = 'QUEUED'`,
    );
    await until(async () => {
      const [due] = await database.query(
        `SELECT count(*)::integer AS count FROM cygni.builds WHERE dispatched AND state = 'QUEUED' AND enqueued_at = '-infinity'`,
      );
      return due?.count === 0;
    });
    await until(
      async () => (await database.query('SELECT FROM cygni.outbox WHERE ready')).length === 0,
    );
    expect((await queue.stats(queueCall())).depth.build).toBe(window);
    const memory = /used_memory:(\d+)/.exec(await redis.client.info('memory'));
    expect(Number(memory?.[1])).toBeLessThan(5_000_000);
  });

  it('of 10,000 builds delays another tenant’s single build by one slot', async () => {
    await using redis = await startRedis();
    await using database = await createTestDatabase();
    const started: string[] = [];
    const gates = new Map<string, () => void>();
    const pipeline = createScriptedPipeline(async (job) => {
      started.push(job.tenantId);
      await new Promise<void>((resolve) => gates.set(job.buildId, resolve));
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    const slots = 4;
    const queue = createRedisQueue({ url: redis.url });
    await using test = await startPlatform({
      store: createPostgresStore({ url: database.url }),
      queue,
      pipeline,
      settings: { buildConcurrency: slots, maximumRunningBuildsPerTenant: slots },
    });
    const [first = ''] = await Promise.all(Array.from({ length: slots }, () => test.build('busy')));
    await addBacklog(database, first, 10_000);
    await until(() => gates.size === slots);
    await test.build('single');
    await until(async () => (await queue.stats(queueCall())).depth.build === 1);
    gates.get(first)?.();
    await until(() => started.length > slots);
    expect(started[slots]).toBe('single');
  });
});
