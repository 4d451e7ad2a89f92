import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { Queue } from '@cygni/core';
import { createRedisQueue, type RedisQueueOptions } from '@cygni/queue-redis';
import { Cluster, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  drained,
  messageOf,
  queueCall,
  startConsumer,
} from '../../core/src/conformance/queue-fixture.ts';
import { type Certificate, createCertificate } from './support/certificate.ts';
import { type RedisCluster, startRedisCluster } from './support/redis-cluster.ts';
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

function overTls({ certificatePath, keyPath }: Certificate): readonly string[] {
  return [
    ...['--port', '0', '--tls-port', '%port', '--tls-auth-clients', 'no'],
    ...['--tls-cert-file', certificatePath, '--tls-key-file', keyPath],
  ];
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
    server = await startRedis([...overTls(certificate), '--requirepass', password], {
      host: 'localhost',
      password,
      tls: { ca: certificate.pem },
    });
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
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  // Of these, one is kept by the first node and the other by the second.
  it.each(['first', 'b'])('keeps all keys of the prefix "%s" on one node', async (prefix) => {
    const queue = createRedisQueue({ url: cluster.nodes[0].url, cluster: true, prefix });
    await mustWork(queue);
    await queue.enqueue([messageOf('kept')], queueCall());
    const keys = await Promise.all(cluster.nodes.map(({ client }) => client.keys(`{${prefix}}:*`)));
    expect(keys.map(({ length }) => length > 0).sort()).toEqual([false, true]);
    await queue.close();
  });

  it('leaves a cluster connection that is lent usable', async () => {
    const connection = new Cluster([{ host: '127.0.0.1', port: cluster.nodes[1].port }]);
    const queue = createRedisQueue({ connection, prefix: 'lent' });
    await mustWork(queue);
    await queue.close();
    expect(await connection.set('key', 'value')).toBe('OK');
    connection.disconnect();
  });

  it('says so when it was not told that it is one', async () => {
    const queue = createRedisQueue({ url: cluster.nodes[0].url, prefix: 'b' });
    const other = createRedisQueue({ url: cluster.nodes[1].url, prefix: 'b' });
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

describe.skipIf(!canStartRedis)('a queue in a cluster that asks for TLS and a user', () => {
  const user = 'cygni';
  const token = 'p@ss/w#rd!';
  let directory: string;
  let certificate: Certificate;
  let cluster: RedisCluster;
  const trusted = tls.getCACertificates('default');

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-redis-cluster-'));
    certificate = await createCertificate(directory);
    cluster = await startRedisCluster(
      [
        ...overTls(certificate),
        ...['--tls-cluster', 'yes', '--tls-ca-cert-file', certificate.certificatePath],
        ...['--requirepass', password],
        ...['--user', user, 'on', `>${token}`, '~*', '&*', '+@all'],
      ],
      { host: 'localhost', password, tls: { ca: certificate.pem } },
    );
  });
  afterEach(() => tls.setDefaultCACertificates(trusted));
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const addressOf = (credentials: string) => ({
    url: `rediss://${credentials}@localhost:${cluster.nodes[0].port}`,
    cluster: true,
  });

  // Of these, one is kept by the node of the address and the other by the node that it tells of.
  it.each([
    ['a password', `:${password}`, 'first'],
    ['a password', `:${password}`, 'b'],
    ['a user and its password', `${user}:${encodeURIComponent(token)}`, 'first'],
    ['a user and its password', `${user}:${encodeURIComponent(token)}`, 'b'],
  ])('takes TLS and %s from the address: %s, prefix "%s"', async (_what, credentials, prefix) => {
    tls.setDefaultCACertificates([...trusted, certificate.pem]);
    const queue = createRedisQueue({ ...addressOf(credentials), prefix });
    await mustWork(queue);
    await queue.close();
  });

  it('takes them from a cluster connection that is lent, and leaves that usable', async () => {
    const connection = new Cluster([{ host: 'localhost', port: cluster.nodes[1].port }], {
      dnsLookup: (address, callback) => callback(null, address),
      redisOptions: { username: user, password: token, tls: { ca: certificate.pem } },
    });
    const queue = createRedisQueue({ connection, prefix: 'lent' });
    await mustWork(queue);
    await queue.close();
    expect(await connection.set('key', 'value')).toBe('OK');
    connection.disconnect();
  });

  // ioredis does not tell why a node of a cluster could not be reached, so `open` has nothing to refuse.
  it('sends nothing to a server whose certificate is not trusted', async () => {
    const queue = createRedisQueue(addressOf(`:${password}`));
    await queue.open(queueCall());
    await expect(queue.enqueue([messageOf('1')], queueCall())).rejects.toMatchObject({
      code: 'unavailable',
    });
    await queue.close();
  });

  it.each([':wrong', `${user}:wrong`])('refuses %s', async (credentials) => {
    tls.setDefaultCACertificates([...trusted, certificate.pem]);
    expect(await refusal(addressOf(credentials))).toMatchObject({
      code: 'invalid_configuration',
      message: 'Redis refused the user or the password',
    });
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
