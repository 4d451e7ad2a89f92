import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPostgresStore } from '@cygni/store-postgres';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptBuild, call, callWith, reservation, until } from './support/calls.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

describe.skipIf(postgresUrl === null)('a store in trouble', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const killAll = () =>
    database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'cygni'`,
    );
  const waiting = async () =>
    (
      await database.query(
        `SELECT 1 FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'cygni' AND wait_event_type = 'Lock'`,
      )
    ).length;

  /** Holds every account's lock until it is ended. */
  async function lockAccounts(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => {});
    await client.connect();
    await client.query('BEGIN; SELECT * FROM cygni.accounts FOR UPDATE');
    return client;
  }

  it('survives the end of idle connections', async () => {
    const store = createPostgresStore({ url: database.url });
    await Promise.all(Array.from({ length: 5 }, () => acceptBuild(store)));
    await killAll();
    await until(() =>
      acceptBuild(store).then(
        () => true,
        () => false,
      ),
    );
    await store.close();
  });

  it('reports a connection that ends under a call as retryable, and goes on', async () => {
    const store = createPostgresStore({ url: database.url });
    await acceptBuild(store);
    const blocker = await lockAccounts();
    const blocked = acceptBuild(store).catch((error: unknown) => error);
    await until(async () => (await waiting()) === 1);
    await killAll();
    expect(await blocked).toMatchObject({ code: 'unavailable', retryable: true });
    await blocker.end();
    await until(() =>
      acceptBuild(store).then(
        () => true,
        () => false,
      ),
    );
    await store.close();
  });

  it('waits for a free connection as long as it may, then reports it', async () => {
    const store = createPostgresStore({
      url: database.url,
      poolSize: 1,
      connectionTimeoutMs: 200,
    });
    await acceptBuild(store);
    const blocker = await lockAccounts();
    const blocked = acceptBuild(store);
    await until(async () => (await waiting()) === 1);
    const began = performance.now();
    await expect(store.ping(call)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(performance.now() - began).toBeLessThan(2_000);
    await blocker.end();
    await blocked;
    await store.ping(call);
    await store.close();
  });

  it('lets go at once of a call that is aborted, and so does the server', async () => {
    const store = createPostgresStore({ url: database.url, poolSize: 1 });
    await acceptBuild(store);
    const blocker = await lockAccounts();
    const caller = new AbortController();
    const limit = { ...reservation.limit };
    const blocked = store
      .setBudget('acme', 'USD', limit, { cap: 5 }, callWith(caller.signal))
      .catch((error: unknown) => error);
    await until(async () => (await waiting()) === 1);
    caller.abort();
    expect(await blocked).toMatchObject({ code: 'aborted', retryable: false });
    await until(async () => (await waiting()) === 0);
    await blocker.end();
    expect(await store.getAccount('acme', 'USD', limit, call)).toMatchObject({ limit: null });
    await store.close();
  });

  it('gives up on a lock after a while', async () => {
    const store = createPostgresStore({ url: database.url, statementTimeoutMs: 300 });
    await acceptBuild(store);
    const blocker = await lockAccounts();
    await expect(acceptBuild(store)).rejects.toMatchObject({ retryable: true });
    await blocker.end();
    await acceptBuild(store);
    await store.close();
  });

  it('keeps outbox messages whose delivery is aborted', async () => {
    const store = createPostgresStore({ url: database.url });
    const id = await acceptBuild(store);
    await store.dispatchBuilds({ maximumPerTenant: 1, maximumUnclaimed: 1, limit: 1 }, call);
    const caller = new AbortController();
    const stuck = store.takeOutbox(
      10,
      () => {
        caller.abort();
        return new Promise(() => {});
      },
      callWith(caller.signal),
    );
    await expect(stuck).rejects.toMatchObject({ code: 'aborted' });
    const seen: string[] = [];
    await until(async () => {
      const taken = await store.takeOutbox(
        10,
        async (messages) => {
          seen.push(...messages.map((message) => message.id));
        },
        call,
      );
      return taken === 1;
    });
    expect(seen).toEqual([id]);
    await store.close();
  });

  it('runs a transaction again that lost a deadlock', async () => {
    const store = createPostgresStore({ url: database.url });
    const limit = { ...reservation.limit };
    await acceptBuild(store);
    await store.setBudget('acme', 'USD', limit, { cap: 1_000 }, call);
    const rival = new pg.Client({ connectionString: database.url });
    await rival.connect();
    await rival.query(`SET deadlock_timeout = '10s'`);
    await rival.query('BEGIN; SELECT * FROM cygni.accounts FOR UPDATE');
    const blocked = store.setBudget('acme', 'USD', limit, { cap: 2_000 }, call);
    await until(async () => (await waiting()) === 1);
    // The store holds the budget and waits for the account; now the rival waits for the budget.
    await rival.query(`UPDATE cygni.budgets SET updated_at = now()`);
    await rival.query('COMMIT');
    expect(await blocked).toMatchObject({ limit: 2_000 });
    await rival.end();
    await store.close();
  });

  it('leaves a borrowed pool open, and as it was', async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 3 });
    const listeners = pool.listenerCount('error');
    const store = createPostgresStore({ pool });
    await acceptBuild(store);
    await store.close();
    expect(pool.listenerCount('error')).toBe(listeners);
    const { rows } = await pool.query('SELECT count(*)::int AS builds FROM cygni.builds');
    expect(rows).toEqual([{ builds: 1 }]);
    expect(pool.idleCount).toBe(pool.totalCount);
    await pool.end();
  });

  it('is not confused by the type parsers of a borrowed pool', async () => {
    const types = { getTypeParser: () => () => 'nonsense' };
    const pool = new pg.Pool({ connectionString: database.url, types });
    const store = createPostgresStore({ pool });
    const id = await acceptBuild(store);
    expect(await store.getBuild('acme', id, call)).toMatchObject({ id, estimate: 100 });
    await store.close();
    await pool.end();
  });

  it('does not tell the password of a database that refuses it', async () => {
    const url = new URL(database.url);
    url.password = 'wrong-canary';
    const store = createPostgresStore({ url: url.href });
    const error = await store.ping(call).catch((refusal: Error) => refusal);
    expect(error).toMatchObject({ code: 'invalid_configuration' });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('canary');
    await store.close();
    expect(() => createPostgresStore({ url: 'mysql://u:wrong-canary@h/d' })).toThrow(
      /^createPostgresStore: wrong options: url$/,
    );
  });
});

/** Says in one packet that it is ready and that an administrator ends the connection. */
async function startFickleServer(): Promise<{ readonly url: string } & AsyncDisposable> {
  const message = (type: string, body: string) => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(4 + Buffer.byteLength(body), 1);
    return Buffer.concat([head, Buffer.from(body)]);
  };
  const packet = Buffer.concat([
    message('R', '\0\0\0\0'),
    message('Z', 'I'),
    message('E', 'SFATAL\0C57P01\0Mterminating connection\0\0'),
  ]);
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(packet));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `postgresql://user:password@127.0.0.1:${port}/database`,
    async [Symbol.asyncDispose]() {
      await once(server.close(), 'close');
    },
  };
}

describe('a connection that ends with the packet that made it ready', () => {
  it.each(['a pool of its own', 'a borrowed pool'])('is reported by %s', async (kind) => {
    await using server = await startFickleServer();
    const pool = new pg.Pool({ connectionString: server.url });
    const store = createPostgresStore(kind === 'a borrowed pool' ? { pool } : { url: server.url });
    await expect(store.ping(call)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await store.close();
    expect([pool.listenerCount('error'), pool.listenerCount('connect')]).toEqual([0, 0]);
    await pool.end();
  });
});

describe.skipIf(postgresUrl === null)('a restart of the server', () => {
  it('interrupts the store, which goes on by itself', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'cygni-restart-'));
    const first = await startEmbeddedPostgres({ directory });
    const port = Number(new URL(first.url).port);
    const store = createPostgresStore({ url: first.url, connectionTimeoutMs: 1_000 });
    const id = await acceptBuild(store);
    await first.close();
    await expect(store.ping(call)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    const second = await startEmbeddedPostgres({ directory, port });
    await until(() =>
      store.ping(call).then(
        () => true,
        () => false,
      ),
    );
    expect(await store.getBuild('acme', id, call)).toMatchObject({ id, state: 'QUEUED' });
    await store.close();
    await second.close();
    await rm(directory, { recursive: true, force: true });
  });
});
