import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis, type RedisOptions } from 'ioredis';
import { inject } from 'vitest';
import { findFreePort } from '../../../../e2e/support/free-port.ts';

const program = inject('redisServer');
/** Without the program, tests of faults are skipped; in CI the set-up has failed already. */
export const canStartRedis = program !== null;

export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  readonly directory: string;
  /** Another connection, past the queue. */
  readonly client: Redis;
  start(): Promise<void>;
  /** Kills it, with all that it had in memory. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
}

/** An empty Redis on a port of its own, which it keeps over restarts. It saves nothing. */
export async function startRedis(
  settings: readonly string[] = [],
  clientOptions: RedisOptions = {},
): Promise<RedisServer> {
  if (program === null) throw new Error('there is no redis-server');
  const command = program;
  const directory = await mkdtemp(join(tmpdir(), 'cygni-redis-'));
  const port = await findFreePort('127.0.0.1');
  const listening = settings.includes('--tls-port') ? [] : ['--port', String(port)];
  const own = settings.map((setting) => setting.replace('%port', String(port)));
  let child: ChildProcess | undefined;
  const client = new Redis({
    port,
    lazyConnect: true,
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
    ...clientOptions,
  });
  client.on('error', () => {});

  const server = {
    port,
    url: `redis://127.0.0.1:${port}`,
    directory,
    client,
    get pid() {
      return child?.pid ?? 0;
    },
    async start() {
      child = spawn(
        command,
        [
          '--bind',
          '127.0.0.1',
          '--dir',
          directory,
          '--save',
          '',
          '--appendonly',
          'no',
          ...listening,
          ...own,
        ],
        { stdio: 'ignore' },
      );
      await client.ping();
    },
    async kill() {
      const dying = child;
      child = undefined;
      if (!dying || dying.exitCode !== null) return;
      dying.kill('SIGCONT');
      dying.kill('SIGKILL');
      await once(dying, 'exit');
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      client.disconnect();
      await server.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}
