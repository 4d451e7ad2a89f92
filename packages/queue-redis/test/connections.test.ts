import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { Queue } from '@cygni/core';
import { createRedisQueue, type RedisQueueOptions } from '@cygni/queue-redis';
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  drained,
  messageOf,
  queueCall,
  startConsumer,
  until,
} from '../../core/src/conformance/queue-fixture.ts';
import { type Certificate, createCertificate } from './support/certificate.ts';
import { canStartRedis, type RedisServer, startRedis } from './support/redis-server.ts';

const password = 'hunter2';

/** Sends, takes and counts. */
async function mustWork(queue: Queue): Promise<void> {
  await queue.open(queueCall());
  const consumer = startConsumer(queue, async () => {}, { concurrency: 3 });
  await queue.enqueue([messageOf('1'), messageOf('2'), messageOf('3')], queueCall());
  await consumer.delivered(3);
  await drained(queue);
  await consumer.stop();
}

/** What `open` rejects with. */
async function refusal(options: RedisQueueOptions): Promise<unknown> {
  const queue = createRedisQueue(options);
  try {
    return await queue.open(queueCall()).then(
      () => null,
      (error: unknown) => error,
    );
  } finally {
    await queue.close();
  }
}

describe.skipIf(!canStartRedis)('a queue whose Redis asks for TLS and a password', () => {
  let directory: string;
  let certificate: Certificate;
  let server: RedisServer;
  const trusted = tls.getCACertificates('default');

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-redis-tls-'));
    certificate = await createCertificate(directory);
    const { certificatePath, keyPath, pem } = certificate;
    const settings = ['--port', '0', '--tls-port', '%port', '--tls-auth-clients', 'no'];
    server = await startRedis(
      [
        ...settings,
        '--tls-cert-file',
        certificatePath,
        '--tls-key-file',
        keyPath,
        '--requirepass',
        password,
      ],
      { host: 'localhost', password, tls: { ca: pem } },
    );
  });
  afterAll(async () => {
    tls.setDefaultCACertificates(trusted);
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const url = (secret: string) => `rediss://:${secret}@localhost:${server.port}`;

  it('refuses a certificate that is not trusted', async () => {
    expect(await refusal({ url: url(password) })).toMatchObject({
      code: 'invalid_configuration',
      message: 'the certificate of Redis is not trusted',
    });
  });

  it('takes both from a rediss:// address', async () => {
    tls.setDefaultCACertificates([...trusted, certificate.pem]);
    const queue = createRedisQueue({ url: url(password) });
    await mustWork(queue);
    await queue.close();
  });

  it.each(['', 'wrong'])(
    'refuses the password "%s", and never tells what it was',
    async (secret) => {
      tls.setDefaultCACertificates([...trusted, certificate.pem]);
      const error = await refusal({ url: url(secret) });
      expect(error).toMatchObject({ code: 'invalid_configuration' });
      const told = JSON.stringify(error, (_key, value: unknown) =>
        value instanceof Error ? { ...value, message: value.message, cause: value.cause } : value,
      );
      expect(told).not.toContain(secret || password);
    },
  );

  it('takes both from a connection that is lent, and leaves that usable', async () => {
    const connection = new Redis(server.port, 'localhost', {
      password,
      tls: { ca: certificate.pem },
    });
    const queue = createRedisQueue({ connection });
    await mustWork(queue);
    await queue.close();
    expect(await connection.ping()).toBe('PONG');
    expect(connection.listenerCount('error')).toBe(0);
    connection.disconnect();
  });
});

describe.skipIf(!canStartRedis)('a queue in a cluster', () => {
  let nodes: readonly RedisServer[];

  beforeAll(async () => {
    const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'];
    const [first, second] = await Promise.all([startRedis(settings), startRedis(settings)]);
    nodes = [first, second];
    await first.client.cluster('ADDSLOTSRANGE', 0, 8191);
    await second.client.cluster('ADDSLOTSRANGE', 8192, 16383);
    await second.client.cluster('SET-CONFIG-EPOCH', 2);
    await first.client.cluster('MEET', '127.0.0.1', second.port);
    await until(async () => {
      const states = await Promise.all(nodes.map(({ client }) => client.cluster('INFO')));
      return states.every((state) => state.includes('cluster_state:ok'));
    });
  });
  afterAll(() => Promise.all(nodes.map((node) => node[Symbol.asyncDispose]())));

  // Of these, one is kept by the first node and the other by the second.
  it.each(['first', 'b'])('keeps all keys of the prefix "%s" on one node', async (prefix) => {
    const queue = createRedisQueue({ url: nodes[0]?.url ?? '', cluster: true, prefix });
    await mustWork(queue);
    await queue.enqueue([messageOf('kept')], queueCall());
    const keys = await Promise.all(nodes.map(({ client }) => client.keys(`{${prefix}}:*`)));
    expect(keys.map(({ length }) => length > 0).sort()).toEqual([false, true]);
    await queue.close();
  });

  it('leaves a cluster connection that is lent usable', async () => {
    const connection = new Cluster([{ host: '127.0.0.1', port: nodes[1]?.port ?? 0 }]);
    const queue = createRedisQueue({ connection, prefix: 'lent' });
    await mustWork(queue);
    await queue.close();
    expect(await connection.set('key', 'value')).toBe('OK');
    connection.disconnect();
  });

  it('says so when it was not told that it is one', async () => {
    const queue = createRedisQueue({ url: nodes[0]?.url ?? '', prefix: 'b' });
    const other = createRedisQueue({ url: nodes[1]?.url ?? '', prefix: 'b' });
    const errors = await Promise.all(
      [queue, other].map((each) =>
        each.enqueue([messageOf('1')], queueCall()).then(
          () => null,
          (error: unknown) => error,
        ),
      ),
    );
    expect(errors.filter((error) => error !== null)).toMatchObject([
      { code: 'invalid_configuration', message: 'this Redis is a cluster' },
    ]);
    await Promise.all([queue.close(), other.close()]);
  });
});

describe('the options of a queue', () => {
  it.each([
    [{ url: 'http://user:hunter2@localhost' }, 'url'],
    [{ url: 'redis://user:hunter2@localhost', prefix: 'a:b' }, 'prefix'],
    [{ url: 'redis://user:hunter2@localhost', redeliverySeconds: 0 }, 'redeliverySeconds'],
  ])('are refused by name, without their values: %j', (options, name) => {
    const create = () => createRedisQueue(options);
    expect(create).toThrow(expect.objectContaining({ code: 'invalid_configuration' }));
    expect(create).toThrow(name);
    expect(create).not.toThrow(/hunter2/);
  });
});
