import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findFreePort } from '../support/free-port.ts';

const startMs = 10_000;
/** Less than any queue needs. */
const noMemory = '1';

export interface CrashableRedis {
  readonly url: string;
  /** The queue wipe that clients do not notice. False: it did not answer. */
  flush(): Promise<boolean>;
  /** False: it did not answer. */
  cutClients(): Promise<boolean>;
  /** Refuses every write for so long. False: it did not answer. */
  fill(ms: number): Promise<boolean>;
  /** SIGSTOP for so long: connections stay, and nobody answers. False: there is none at the moment. */
  pause(ms: number): boolean;
  /** SIGKILL, and an empty one in its place after so long. False: there is none at the moment. */
  restart(ms: number): boolean;
  /** Undoes at once what is being done to it; resolves when it answers. */
  calm(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A real Redis of the run's own, which keeps nothing on disk. Whoever ends it, an empty one takes its place.
 * @throws without a redis-server on the path
 */
export async function startRedis(directory: string): Promise<CrashableRedis> {
  await mkdir(directory, { recursive: true });
  const port = await findFreePort('127.0.0.1');
  const peace = new AbortController();
  const closed = new AbortController();
  let server: ChildProcess | undefined;
  let outageMs = 0;
  const administrator = new Redis({
    port,
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 500,
    retryStrategy: () => 100,
  });
  administrator.on('error', () => {});

  async function live(): Promise<void> {
    const settings = { bind: '127.0.0.1', port, dir: directory, save: '', appendonly: 'no' };
    const own = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    server = spawn('redis-server', own, { stdio: 'ignore' });
    await once(server, 'exit');
  }

  async function keepAlive(): Promise<void> {
    while (!closed.signal.aborted) {
      await live();
      await sleep(outageMs, undefined, { signal: peace.signal }).catch(() => {});
      outageMs = 0;
    }
  }

  function answersTo(command: () => Promise<unknown>): Promise<boolean> {
    return command().then(
      () => true,
      () => false,
    );
  }

  async function untilItAnswers(): Promise<void> {
    const deadline = performance.now() + startMs;
    while (!closed.signal.aborted && !(await answersTo(() => administrator.ping()))) {
      if (performance.now() > deadline) throw new Error(`no Redis within ${startMs} ms`);
      if (administrator.status === 'wait') void administrator.connect().catch(() => {});
      await sleep(50);
    }
  }

  const inPeace = (ms: number) => sleep(ms, undefined, { signal: peace.signal }).catch(() => {});
  const refill = () => answersTo(() => administrator.config('SET', 'maxmemory', '0'));

  const living = keepAlive();
  try {
    await Promise.race([untilItAnswers(), living]);
  } catch (cause) {
    closed.abort();
    server?.kill('SIGKILL');
    administrator.disconnect();
    throw new Error('redis-server, which must be on the path, did not start', { cause });
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    flush: () => answersTo(() => administrator.flushall()),
    cutClients: () => answersTo(() => administrator.client('KILL', 'TYPE', 'NORMAL')),
    async fill(ms) {
      const full = await answersTo(() => administrator.config('SET', 'maxmemory', noMemory));
      if (full) void inPeace(ms).then(refill);
      return full;
    },
    pause(ms) {
      const paused = server;
      if (!paused?.kill('SIGSTOP')) return false;
      void inPeace(ms).then(() => paused.kill('SIGCONT'));
      return true;
    },
    restart(ms) {
      const killed = server?.kill('SIGKILL') ?? false;
      if (killed) outageMs = ms;
      return killed;
    },
    async calm() {
      peace.abort();
      server?.kill('SIGCONT');
      await untilItAnswers();
      await refill();
    },
    async close() {
      closed.abort();
      peace.abort();
      administrator.disconnect();
      server?.kill('SIGKILL');
      await living;
    },
  };
}
