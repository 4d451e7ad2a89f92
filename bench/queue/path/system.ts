import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createPostgresStore } from '@cygni/store-postgres';
import pg from 'pg';
import { loopTable } from './hand-written-loop.ts';
import { now, type Report, type Role, repository, sourceId, tenants } from './protocol.ts';

const program = fileURLToPath(new URL('./process.ts', import.meta.url));
const startTimeoutMs = 30_000;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** An API process and so many workers, with a database of their own. */
export interface System extends AsyncDisposable {
  readonly name: Role['system'];
  /** Resolves once the request is answered. */
  post(): Promise<void>;
  /** How many requests there were. */
  readonly posted: number;
  /** When a worker began with, and had ended, each of the builds so far. */
  readonly started: readonly number[];
  readonly finished: readonly number[];
  /** Of all its processes, since they began. */
  cpuMs(): Promise<number>;
}

export interface Servers {
  readonly redisUrl: string;
  readonly databaseUrl: string;
}

export async function startSystem(
  name: Role['system'],
  workers: number,
  concurrency: number,
  servers: Servers,
  /** Of what they say of themselves. */
  warnings: 'inherit' | 'ignore' = 'inherit',
): Promise<System> {
  const databaseUrl = await createDatabase(name, servers.databaseUrl);
  const started: number[] = [];
  const finished: number[] = [];
  const children: ChildProcess[] = [];
  const agent = new Agent({ keepAlive: true });
  const prefix = `{path-${randomUUID()}}`;

  async function start(part: Role['part']): Promise<number | null> {
    const child = fork(program, {
      execArgv: ['--conditions=cygni-source'],
      stdio: ['ignore', 'inherit', warnings, 'ipc'],
    });
    children.push(child);
    const role: Role = {
      system: name,
      part,
      redisUrl: servers.redisUrl,
      databaseUrl,
      prefix,
      concurrency,
    };
    child.send(role);
    const ready = Promise.withResolvers<number | null>();
    child.on('message', (said: Report) => {
      if (said.is === 'ready') ready.resolve(said.port);
      else if (said.is === 'started') started.push(said.at);
      else if (said.is === 'finished') finished.push(said.at);
    });
    child.on('exit', () => ready.reject(new Error(`the ${part} of ${name} ended`)));
    const timer = setTimeout(() => ready.reject(new Error('not ready in time')), startTimeoutMs);
    return ready.promise.finally(() => clearTimeout(timer));
  }

  async function dispose(): Promise<void> {
    agent.destroy();
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.disconnect();
        await exited;
      }),
    );
  }

  try {
    const port = await start('api');
    for (let index = 0; index < workers; index += 1) await start('worker');
    let posted = 0;
    return {
      name,
      started,
      finished,
      get posted() {
        return posted;
      },
      post() {
        posted += 1;
        return post(agent, port ?? 0, tenants[posted % tenants.length] ?? '');
      },
      async cpuMs() {
        const used = children.map(async (child) => {
          const answer = Promise.withResolvers<number>();
          const hear = (said: Report) => {
            if (said.is !== 'used') return;
            child.off('message', hear);
            answer.resolve(said.cpuMs);
          };
          child.on('message', hear);
          child.send({});
          return answer.promise;
        });
        return (await Promise.all(used)).reduce((sum, each) => sum + each, 0);
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** For the system, on the server at `url`. Gives its address. */
export async function createDatabase(system: Role['system'], url: string): Promise<string> {
  const name = `path_${randomUUID().replaceAll('-', '')}`;
  await query(url, `CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = name;
  if (system === 'hand-written loop') {
    await query(own.href, loopTable);
    return own.href;
  }
  const store = createPostgresStore({ url: own.href });
  await store.open({ signal: AbortSignal.timeout(startTimeoutMs), log: silent });
  await store.close();
  await query(
    own.href,
    `INSERT INTO cygni.sources (tenant_id, id, key, size_bytes, sha256)
     SELECT tenant, '${sourceId}', 'key', 1, 'sha256' FROM unnest($1::text[]) AS tenant`,
    [tenants],
  );
  return own.href;
}

async function query(url: string, text: string, values?: unknown[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text, values);
  } finally {
    await client.end();
  }
}

function post(agent: Agent, port: number, tenant: string): Promise<void> {
  const body = JSON.stringify({ sourceId, repository });
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        agent,
        port,
        host: '127.0.0.1',
        method: 'POST',
        path: '/v1/builds',
        headers: {
          authorization: `Bearer ${tenant}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (response) => {
        response.resume();
        response.on('end', () =>
          response.statusCode === 202
            ? resolve()
            : reject(new Error(`POST was answered ${response.statusCode}`)),
        );
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}

/** @throws after a minute */
export async function until(happened: () => boolean): Promise<void> {
  const deadline = now() + 60_000;
  while (!happened()) {
    if (now() > deadline) throw new Error('builds are missing');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
