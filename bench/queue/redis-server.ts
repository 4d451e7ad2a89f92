import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findFreePort } from '../../e2e/support/free-port.ts';

export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  /** Again after `kill`, on the same port, and empty. Resolves when it answers. */
  start(): Promise<void>;
  kill(): Promise<void>;
  /** Connections stay, and nobody answers. */
  pause(): void;
  resume(): void;
}

/** @throws without a redis-server on the path */
export async function startRedis(): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-bench-'));
  const port = await findFreePort('127.0.0.1');
  const url = `redis://127.0.0.1:${port}`;
  const settings = { port, bind: '127.0.0.1', save: '', dir: directory };
  const own = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  let child: ChildProcess | undefined;

  const server: RedisServer = {
    url,
    async start() {
      child = spawn('redis-server', own, { stdio: 'ignore' });
      const exited = once(child, 'exit');
      const probe = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
      probe.on('error', () => {});
      try {
        await Promise.race([
          probe.ping(),
          exited.then(() => Promise.reject(new Error('redis-server did not start'))),
        ]);
      } finally {
        probe.disconnect();
      }
    },
    async kill() {
      const dying = child;
      child = undefined;
      if (!dying || dying.exitCode !== null || dying.signalCode !== null) return;
      dying.kill('SIGKILL');
      await once(dying, 'exit');
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await server.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await server.start();
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  return server;
}

/** Microseconds of CPU that the Redis has used. */
export async function redisCpu(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const [system, user] = ['sys', 'user'].map((kind) =>
    Number(new RegExp(`^used_cpu_${kind}:([\\d.]+)`, 'm').exec(info)?.[1]),
  );
  return ((system ?? Number.NaN) + (user ?? Number.NaN)) * 1_000_000;
}
