import type { Queue } from '@cygni/core';
import { createRedisQueue } from '@cygni/queue-redis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Consumer,
  drained,
  messageOf,
  queueCall,
  startConsumer,
  until,
} from '../../core/src/conformance/queue-fixture.ts';
import { startProxy } from './support/proxy.ts';
import { canStartRedis, type RedisServer, startRedis } from './support/redis-server.ts';

const unavailable = { code: 'unavailable', retryable: true };

/** As the relay does: again and again until it is taken. */
async function send(queue: Queue, id: string): Promise<void> {
  await until(() =>
    queue.enqueue([messageOf(id)], queueCall()).then(
      () => true,
      () => false,
    ),
  );
}

function handed(consumer: Consumer, id: string): Promise<void> {
  return until(() => consumer.ids.includes(id));
}

describe.skipIf(!canStartRedis)('the Redis queue', () => {
  let server: RedisServer;
  let queue: Queue;
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => unhandled.push(error);

  beforeEach(async () => {
    process.on('unhandledRejection', onUnhandled);
    server = await startRedis();
    queue = createRedisQueue({ url: server.url, redeliverySeconds: 2 });
  });
  afterEach(async () => {
    await queue.close();
    await server[Symbol.asyncDispose]();
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled.splice(0)).toEqual([]);
  });

  it('opens, refuses at once and stops while Redis is down, and works once it is there', async () => {
    await server.kill();
    await queue.open(queueCall());
    const consumer = startConsumer(queue, async () => {});
    const idle = startConsumer(queue, async () => {}, {}, 'deployment');
    for (const answer of [
      queue.enqueue([messageOf('1')], queueCall()),
      queue.ping(queueCall()),
      queue.stats(queueCall()),
    ]) {
      await expect(answer).rejects.toMatchObject(unavailable);
    }
    await idle.stop();
    await server.start();
    await send(queue, '1');
    await handed(consumer, '1');
    await consumer.stop();
  });

  it('closes while Redis is down', async () => {
    const consumer = startConsumer(queue, async () => {});
    await send(queue, '1');
    await handed(consumer, '1');
    await server.kill();
    await until(() =>
      queue.ping(queueCall()).then(
        () => false,
        () => true,
      ),
    );
    await queue.close();
    await consumer.ended;
  });

  it('goes on after Redis died and came back empty', async () => {
    const release = Promise.withResolvers<void>();
    const consumer = startConsumer(
      queue,
      ({ message }) => (message.id === 'in hand' ? release.promise : Promise.resolve()),
      { concurrency: 2 },
    );
    await send(queue, 'in hand');
    await handed(consumer, 'in hand');
    for (const id of ['after one', 'after two', 'after three']) {
      await server.kill();
      await server.start();
      await send(queue, id);
      await handed(consumer, id);
    }
    release.resolve();
    await send(queue, 'in hand');
    await until(() => consumer.ids.filter((id) => id === 'in hand').length === 2);
    await consumer.stop();
  });

  it('goes on after a failover to an empty server, though the old primary keeps its connections', async () => {
    await using successor = await startRedis();
    await using proxy = await startProxy(server.port);
    const behind = createRedisQueue({ url: `redis://127.0.0.1:${proxy.port}` });
    const release = Promise.withResolvers<void>();
    const consumer = startConsumer(
      behind,
      ({ message }) => (message.id === 'in hand' ? release.promise : Promise.resolve()),
      { concurrency: 2 },
    );
    await send(behind, 'in hand');
    await send(behind, 'before');
    await until(() => consumer.deliveries.length === 2);

    await server.client.replicaof('127.0.0.1', successor.port);
    await expect(behind.enqueue([messageOf('refused')], queueCall())).rejects.toMatchObject({
      ...unavailable,
      message: 'this Redis accepts no writes now',
    });
    proxy.redirect(successor.port);
    await send(behind, 'after');
    await handed(consumer, 'after');
    release.resolve();
    await send(behind, 'in hand');
    await until(() => consumer.ids.filter((id) => id === 'in hand').length === 2);
    await drained(behind);
    await consumer.stop();
    await behind.close();
    expect(consumer.ids).not.toContain('refused');
  });

  it('goes on after FLUSHALL; what is sent again is handed out again', async () => {
    const release = Promise.withResolvers<void>();
    const consumer = startConsumer(queue, () => release.promise);
    await send(queue, 'in hand');
    await handed(consumer, 'in hand');
    await send(queue, 'waits');
    await server.client.flushall();
    expect((await queue.stats(queueCall())).depth.build).toBe(0);
    await send(queue, 'waits');
    release.resolve();
    await handed(consumer, 'waits');
    await drained(queue);
    await consumer.stop();
    expect(consumer.ids).toEqual(['in hand', 'waits']);
  });

  it('loses nothing while its connections are killed again and again', async () => {
    const consumer = startConsumer(queue, async () => {}, { concurrency: 5 });
    const ids = Array.from({ length: 200 }, (_, index) => `message-${index}`);
    for (const [index, id] of ids.entries()) {
      if (index % 20 === 10) await server.client.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await send(queue, id);
    }
    await until(() => ids.every((id) => consumer.ids.includes(id)));
    await drained(queue);
    await consumer.stop();
  });

  it('refuses messages while Redis has no memory left, finishes what is in hand, and goes on afterwards', async () => {
    const release = Promise.withResolvers<void>();
    const consumer = startConsumer(queue, () => release.promise);
    await send(queue, 'in hand');
    await handed(consumer, 'in hand');
    await send(queue, 'waits');
    await server.client.config('SET', 'maxmemory', '1');
    await expect(queue.enqueue([messageOf('refused')], queueCall())).rejects.toMatchObject({
      ...unavailable,
      message: 'Redis has no memory left',
    });
    release.resolve();
    // The second one may be claimed in the step that finishes the first.
    await until(async () => (await server.client.llen('{cygni}:build:active')) <= 1);
    await server.client.config('SET', 'maxmemory', '0');
    await send(queue, 'afterwards');
    await handed(consumer, 'waits');
    await handed(consumer, 'afterwards');
    await consumer.stop();
    expect(consumer.ids).toHaveLength(3);
  });

  it('waits for no paused Redis longer than its caller does, and goes on when it runs again', async () => {
    const consumer = startConsumer(queue, async () => {});
    await send(queue, 'before');
    await handed(consumer, 'before');
    server.pause();
    const brief = { ...queueCall(), signal: AbortSignal.timeout(100) };
    await expect(queue.enqueue([messageOf('1')], brief)).rejects.toMatchObject({ code: 'timeout' });
    // Without a limit of the caller's, its own.
    await expect(queue.ping(queueCall())).rejects.toMatchObject({ retryable: true });
    await expect(queue.enqueue([messageOf('2')], queueCall())).rejects.toMatchObject({
      retryable: true,
    });
    server.resume();
    await send(queue, 'after');
    await handed(consumer, 'after');
    await consumer.stop();
  });

  it('closes while Redis is paused', async () => {
    const consumer = startConsumer(queue, async () => {});
    await send(queue, '1');
    await handed(consumer, '1');
    server.pause();
    await queue.close();
    await consumer.ended;
  });

  it('goes on claiming when keys of it were damaged and are whole again', async () => {
    const consumer = startConsumer(queue, async () => {});
    await send(queue, 'before');
    await handed(consumer, 'before');
    await drained(queue);
    await server.client.set('{cygni}:build:wait', 'not a list');
    await expect(queue.enqueue([messageOf('1')], queueCall())).rejects.toMatchObject({
      code: 'internal',
    });
    await server.client.del('{cygni}:build:wait');
    await send(queue, 'after');
    await handed(consumer, 'after');
    await consumer.stop();
  });

  it('makes dead letters of what nobody can read', async () => {
    await queue.enqueue(
      [messageOf('damaged'), messageOf('changed'), messageOf('good')],
      queueCall(),
    );
    await server.client.hset('{cygni}:build:1', 'data', '{broken');
    await server.client.hset('{cygni}:build:2', 'data', '{"v":1,"id":7}');
    const consumer = startConsumer(queue, async () => {});
    await handed(consumer, 'good');
    await consumer.stop();
    expect(consumer.deadLetters).toEqual([
      { kind: 'build', id: null, reason: 'unreadable' },
      { kind: 'build', id: null, reason: 'unreadable' },
    ]);
    // Where dashboards show them.
    expect(await server.client.zcard('{cygni}:build:failed')).toBe(2);
  });

  it('keeps no word of a handler’s error in Redis', async () => {
    const consumer = startConsumer(
      queue,
      async () => {
        throw new Error('hunter2');
      },
      { maximumDeliveries: 1 },
    );
    await send(queue, '1');
    await until(() => consumer.deadLetters.length === 1);
    await consumer.stop();
    const kept = JSON.stringify(await server.client.hgetall('{cygni}:build:1'));
    expect(kept).toContain('delivered in vain');
    expect(kept).not.toContain('hunter2');
  });

  it('replaces a claim loop that waits for an answer that does not come, and hands out once what the new one finds', async () => {
    await using proxy = await startProxy(server.port);
    const behind = createRedisQueue({ url: `redis://127.0.0.1:${proxy.port}` });
    const warnings: string[] = [];
    const abort = new AbortController();
    const seen: string[] = [];
    await behind.ping(queueCall());
    const consuming = behind.consume(
      'build',
      async ({ message }) => void seen.push(message.id),
      { concurrency: 1, redeliveryDelayMs: 1, maximumDeliveries: 3, onDeadLetter() {} },
      {
        signal: abort.signal,
        log: { ...queueCall().log, warn: (_fields, text = '') => warnings.push(text) },
      },
    );
    await behind.enqueue([messageOf('before')], queueCall());
    await until(() => seen.length === 1);
    await until(async () => String(await server.client.client('LIST')).includes('cmd=bzpopmin'));
    const others = String(await server.client.client('LIST'))
      .split('\n')
      .filter((line) => !/cmd=(bzpopmin|client)/.test(line) && line.length > 0)
      .map((line) => Number(/ addr=127\.0\.0\.1:(\d+) /.exec(line)?.[1]));
    // The first is the one that sends; the second, which claims, falls silent.
    proxy.swallow(others[1] ?? 0);
    await send(behind, 'after');
    await until(() => seen.includes('after'));
    expect(warnings).toContain('the claim loop is replaced');
    abort.abort();
    await consuming;
    await behind.close();
  });
});
