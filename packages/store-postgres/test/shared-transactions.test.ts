import type { Fence, Store } from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptBuild, call, reservation } from './support/calls.ts';
import { createRival, untilItWaits } from './support/rival.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

const roomy = { maximumPerTenant: 100, maximumUnclaimed: 100, limit: 100 };

/** What comes at once is asked of the database at once; that must not be seen in any answer. */
describe.skipIf(postgresUrl === null)('builds', () => {
  let database: TestDatabase;
  let store: Store;
  beforeEach(async () => {
    database = await createTestDatabase();
    store = createPostgresStore({ url: database.url });
    await store.open(call);
  });
  afterEach(async () => {
    await store.close();
    await database[Symbol.asyncDispose]();
  });

  async function startOther() {
    const other = createPostgresStore({ url: database.url });
    await other.open(call);
    return { store: other, [Symbol.asyncDispose]: () => other.close() };
  }

  async function stateOf(id: string): Promise<unknown> {
    const [row] = await database.query('SELECT state FROM cygni.builds WHERE id = $1', [id]);
    return row?.state;
  }

  describe('that are claimed together', () => {
    const queuedBuilds = async (count: number) => {
      const ids = await Promise.all(Array.from({ length: count }, () => acceptBuild(store)));
      await store.dispatchBuilds(roomy, call);
      return ids;
    };

    it('shares transactions, and each claim is of what was asked for', async () => {
      const ids = await queuedBuilds(40);
      const claims = await Promise.all(ids.map((id) => store.claimBuild(id, 30, call)));
      expect(claims.map((claim) => claim?.build.id)).toEqual(ids);
      const rows = await database.query(`SELECT DISTINCT xmin::text FROM cygni.builds`);
      expect(rows.length).toBeLessThan(10);
    });

    it('gives each to one, however many ask, in whichever processes', async () => {
      await using other = await startOther();
      const ids = await queuedBuilds(20);
      const asked = [...ids, ...ids.toReversed(), ...ids];
      const claims = await Promise.all(
        [store, other.store].flatMap((each) => asked.map((id) => each.claimBuild(id, 30, call))),
      );
      const given = claims.flatMap((claim) => claim?.build ?? []);
      expect(given.map(({ id }) => id).sort()).toEqual([...ids].sort());
      expect(given.every(({ attempt }) => attempt === 1)).toBe(true);
    });

    it('gives the others while one waits for who has it locked', async () => {
      const [busy = '', idle = ''] = await queuedBuilds(2);
      await using rival = await createRival(database);
      await rival.query('SELECT FROM cygni.builds WHERE id = $1 FOR UPDATE', [busy]);
      const [waiting, claimed] = [busy, idle].map((id) => store.claimBuild(id, 30, call));
      expect(await untilItWaits(database, waiting ?? Promise.resolve())).toBe('waits');
      expect(await stateOf(idle)).toBe('RUNNING');
      expect((await claimed)?.build.id).toBe(idle);
      await rival.commit();
      expect((await waiting)?.build.id).toBe(busy);
    });

    it('does not give what was cancelled while it waited', async () => {
      const [id = ''] = await queuedBuilds(1);
      await using rival = await createRival(database);
      await rival.query(
        `UPDATE cygni.builds SET state = 'CANCELLED', cost = 0, finished_at = now() WHERE id = $1`,
        [id],
      );
      const waiting = store.claimBuild(id, 30, call);
      expect(await untilItWaits(database, waiting)).toBe('waits');
      await rival.commit();
      expect(await waiting).toBeNull();
    });

    it('gives the others to those that still want them', async () => {
      const [left = '', wanted = ''] = await queuedBuilds(2);
      const leaving = new AbortController();
      const given = store.claimBuild(left, 30, { ...call, signal: leaving.signal });
      const claim = store.claimBuild(wanted, 30, call);
      leaving.abort();
      await expect(given).rejects.toMatchObject({ code: 'aborted' });
      expect((await claim)?.build.id).toBe(wanted);
    });
  });

  describe('that end together', () => {
    const succeeded = (charge: number) =>
      ({ state: 'SUCCEEDED', image: null, failure: null, charge }) as const;
    const running = async (tenantId: string): Promise<Fence> => {
      const id = await acceptBuild(store, { tenantId });
      await store.dispatchBuilds(roomy, call);
      await store.claimBuild(id, 30, call);
      return { id, attempt: 1 };
    };
    const spentBy = async (tenantId: string) =>
      store.getAccount(tenantId, 'USD', reservation.limit, call);

    it('shares transactions, and each is charged and ended as was asked', async () => {
      const fences = await Promise.all(
        Array.from({ length: 20 }, (_, index) => running(`tenant-${index % 2}`)),
      );
      const ends = fences.map((fence, index) => store.finishBuild(fence, succeeded(index), call));
      expect(await Promise.all(ends)).toEqual(fences.map(() => true));
      const rows = await database.query(`SELECT DISTINCT xmin::text FROM cygni.builds`);
      expect(rows.length).toBeLessThan(10);
      expect(await spentBy('tenant-0')).toMatchObject({ spent: 90, reserved: 0 });
      expect(await spentBy('tenant-1')).toMatchObject({ spent: 100, reserved: 0 });
      const costs = await database.query('SELECT id, cost FROM cygni.builds');
      expect(new Map(costs.map(({ id, cost }) => [id, Number(cost)]))).toEqual(
        new Map(fences.map(({ id }, index) => [id, index])),
      );
    });

    it('ends the others where one may not be ended so', async () => {
      const [wrong, right] = [await running('acme'), await running('other')];
      const [refused, ended] = [
        store.finishBuild(wrong, succeeded(-1), call),
        store.finishBuild(right, succeeded(1), call),
      ];
      await expect(refused).rejects.toThrow();
      expect(await ended).toBe(true);
    });

    it('ends the others while one waits for money that somebody has locked', async () => {
      const [busy, idle] = [await running('acme'), await running('other')];
      await using rival = await createRival(database);
      await rival.query(`SELECT FROM cygni.accounts WHERE tenant_id = 'acme' FOR UPDATE`);
      const [waiting, ended] = [busy, idle].map((fence) =>
        store.finishBuild(fence, succeeded(1), call),
      );
      expect(await untilItWaits(database, waiting ?? Promise.resolve())).toBe('waits');
      expect(await stateOf(idle.id)).toBe('SUCCEEDED');
      expect(await ended).toBe(true);
      await rival.commit();
      expect(await waiting).toBe(true);
    });

    it('does not end what was given back while it waited', async () => {
      const fence = await running('acme');
      await using rival = await createRival(database);
      await rival.query(
        `UPDATE cygni.builds SET state = 'QUEUED', lease_until = NULL, dispatched = false WHERE id = $1`,
        [fence.id],
      );
      const waiting = store.finishBuild(fence, succeeded(1), call);
      expect(await untilItWaits(database, waiting)).toBe('waits');
      await rival.commit();
      expect(await waiting).toBe(false);
    });
  });
});
