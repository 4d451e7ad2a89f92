import { randomUUID } from 'node:crypto';
import type { Build, NewBuild, Reservation, Store } from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, callWith, reservation, until } from './support/calls.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

describe.skipIf(postgresUrl === null)('builds accepted together', () => {
  let database: TestDatabase;
  let stores: readonly Store[];
  let store: Store;
  beforeEach(async () => {
    database = await createTestDatabase();
    const options = { url: database.url, poolSize: 5 };
    store = createPostgresStore(options);
    stores = [store, createPostgresStore(options), createPostgresStore(options)];
    await store.open(call);
  });
  afterEach(async () => {
    for (const each of stores) await each.close();
    await database[Symbol.asyncDispose]();
  });

  async function newBuild(tenantId = 'acme', changes: Partial<NewBuild> = {}): Promise<NewBuild> {
    const source = { id: randomUUID(), tenantId, key: 'k', sizeBytes: 1, sha256: 's' };
    await store.addSource(source, null, call);
    return {
      id: randomUUID(),
      tenantId,
      sourceId: source.id,
      repository: 'site',
      tags: ['a"b\\c', 'latest'],
      dockerfile: 'Dockerfile',
      target: null,
      buildArguments: { A: '1' },
      machine: 'small',
      timeoutSeconds: 60,
      maximumAttempts: 3,
      ...changes,
    };
  }
  const newBuilds = (count: number, tenantId?: string) =>
    Promise.all(Array.from({ length: count }, () => newBuild(tenantId)));
  const capped = (cap: number, amount = 100): Reservation => ({
    ...reservation,
    amount,
    limit: { ...reservation.limit, cap },
  });
  const key = (of: string) => ({ route: 'r', key: of, fingerprint: 'f', retainSeconds: 60 });
  const accept = (build: NewBuild, within = reservation, by = store) =>
    by.acceptBuild(build, within, null, call);
  const outcomes = (promises: readonly Promise<unknown>[]) =>
    Promise.all(
      promises.map((promise) =>
        promise.then(
          () => 'accepted',
          (error: { code: string }) => error.code,
        ),
      ),
    );
  const count = (values: readonly string[], wanted: string) =>
    values.filter((value) => value === wanted).length;
  const reserved = async (tenantId = 'acme') =>
    (await store.getAccount(tenantId, 'USD', reservation.limit, call)).reserved;
  const transactions = async () =>
    Number((await database.query('SELECT count(DISTINCT xmin::text) FROM cygni.builds'))[0]?.count);

  /** Holds the account's lock until it is ended. */
  async function lockAccount(tenantId: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: database.url });
    client.on('error', () => {});
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT FROM cygni.accounts WHERE tenant_id = $1 FOR UPDATE', [tenantId]);
    return client;
  }
  const lockIsAwaited = () =>
    until(async () => {
      const rows = await database.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return rows.length > 0;
    });

  it('share transactions, and each is what was asked for', async () => {
    const builds = [...(await newBuilds(30)), ...(await newBuilds(30, 'other'))];
    const accepted = await Promise.all(builds.map((build) => accept(build)));
    expect(await transactions()).toBeLessThan(20);
    const read = (build: NewBuild): Promise<Build | null> =>
      store.getBuild(build.tenantId, build.id, call);
    expect(accepted.map(({ resource }) => resource)).toEqual(await Promise.all(builds.map(read)));
    expect(await reserved()).toBe(3_000);
    expect(await reserved('other')).toBe(3_000);
  });

  it('are as many as the budget covers, whichever processes they come from', async () => {
    for (const cap of [100, 1_050]) {
      const tenantId = `tenant-${cap}`;
      const builds = await newBuilds(99, tenantId);
      const results = await outcomes(
        builds.map((build, index) => accept(build, capped(cap), stores[index % stores.length])),
      );
      expect(count(results, 'accepted')).toBe(Math.floor(cap / 100));
      expect(count(results, 'budget_exceeded')).toBe(99 - Math.floor(cap / 100));
      expect(await reserved(tenantId)).toBe(Math.floor(cap / 100) * 100);
    }
  });

  it('are judged in their order, one that costs too much aside', async () => {
    await accept(await newBuild());
    const [first, large, small, last] = (await newBuilds(4)) as [
      NewBuild,
      NewBuild,
      NewBuild,
      NewBuild,
    ];
    const results = await outcomes([
      accept(first, capped(400)),
      accept(large, capped(400, 1_000)),
      accept(small, capped(400)),
      accept(last, capped(400)),
    ]);
    expect(results).toEqual(['accepted', 'budget_exceeded', 'accepted', 'accepted']);
    expect(await reserved()).toBe(400);
  });

  it('are one build for one key, whichever processes they come from', async () => {
    const builds = await newBuilds(30);
    const results = await Promise.all(
      builds.map((build, index) =>
        (stores[index % stores.length] ?? store).acceptBuild(build, capped(100), key('k'), call),
      ),
    );
    expect(new Set(results.map(({ resource }) => resource.id)).size).toBe(1);
    expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(await reserved()).toBe(100);
  });

  it('do not suffer from one that cannot be stored, is there already or lacks its source', async () => {
    await accept(await newBuild());
    const good = await newBuilds(20);
    const known = await newBuild();
    await accept(known);
    const bad = [
      await newBuild('acme', { dockerfile: 'a\0b' }),
      await newBuild('acme', { sourceId: randomUUID() }),
      known,
    ];
    const results = await outcomes(
      [...good.slice(0, 7), ...bad, ...good.slice(7)].map((build) => accept(build)),
    );
    expect(results.slice(7, 10)).toEqual(['invalid_input', 'not_found', 'accepted']);
    expect(count(results, 'accepted')).toBe(21);
    expect(await reserved()).toBe(2_200);
  });

  it('do not wait for the account of another tenant', async () => {
    await accept(await newBuild());
    await accept(await newBuild('other'));
    const blocker = await lockAccount('acme');
    const blocked = (await newBuilds(3)).map((build) => accept(build));
    const others = await newBuilds(20, 'other');
    await lockIsAwaited();
    await Promise.all(others.map((build) => accept(build)));
    await blocker.end();
    await Promise.all(blocked);
    expect(await reserved()).toBe(400);
  });

  it('go on when one of them is given up, and end when all are', async () => {
    await accept(await newBuild());
    const blocker = await lockAccount('acme');
    const callers = [new AbortController(), new AbortController()] as const;
    const [one, two] = (await newBuilds(2)) as [NewBuild, NewBuild];
    const given = outcomes([
      store.acceptBuild(one, reservation, null, callWith(callers[0].signal)),
      store.acceptBuild(two, reservation, null, callWith(callers[1].signal)),
    ]);
    await lockIsAwaited();
    callers[0].abort();
    callers[1].abort();
    expect(await given).toEqual(['aborted', 'aborted']);
    await until(
      async () =>
        (
          await database.query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          )
        ).length === 0,
    );
    await blocker.end();
    expect(await reserved()).toBe(100);
  });

  it('are finished before the store closes', async () => {
    await accept(await newBuild());
    const accepted = Promise.all((await newBuilds(50)).map((build) => accept(build)));
    await store.close();
    expect(await accepted).toHaveLength(50);
  });

  it('fail as unavailable when their turn does not come', async () => {
    const impatient = createPostgresStore({ url: database.url, connectionTimeoutMs: 200 });
    await accept(await newBuild());
    const blocker = await lockAccount('acme');
    const [first, second] = (await newBuilds(2)) as [NewBuild, NewBuild];
    const blocked = accept(first, reservation, impatient);
    await lockIsAwaited();
    await expect(accept(second, reservation, impatient)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    await blocker.end();
    await blocked;
    await impatient.close();
  });
});
