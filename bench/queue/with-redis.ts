import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** Hands over the address of REDIS_URL, or of a redis-server that lives as long as `work`. */
export async function withRedis(work: (url: string) => Promise<void>): Promise<void> {
  const given = process.env.REDIS_URL;
  if (given) return work(given);
  const directory = await mkdtemp(join(tmpdir(), 'cygni-bench-'));
  const port = await freePort();
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--dir',
    directory,
  ];
  const server = spawn('redis-server', settings, { stdio: 'ignore' });
  const exited = once(server, 'exit');
  try {
    const url = `redis://127.0.0.1:${port}`;
    const probe = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
    probe.on('error', () => {});
    await Promise.race([
      probe.ping(),
      exited.then(() => Promise.reject(new Error('redis-server did not start'))),
    ]);
    probe.disconnect();
    await work(url);
  } finally {
    server.kill();
    await exited.catch(() => {});
    await rm(directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
  return address.port;
}

/** Microseconds of CPU that the Redis has used. */
export async function redisCpu(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const [system, user] = ['sys', 'user'].map((kind) =>
    Number(new RegExp(`^used_cpu_${kind}:([\\d.]+)`, 'm').exec(info)?.[1]),
  );
  return ((system ?? Number.NaN) + (user ?? Number.NaN)) * 1_000_000;
}
