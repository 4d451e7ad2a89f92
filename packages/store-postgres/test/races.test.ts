import { randomUUID } from 'node:crypto';
import {
  type Fence,
  healthCheckSchema,
  type NewDeployment,
  type Reservation,
  rolloutSchema,
  type Store,
} from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptBuild, call, newBuild, reservation } from './support/calls.ts';
import { createRival, untilItWaits } from './support/rival.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

const roomy = { maximumPerTenant: 100, maximumUnclaimed: 100, limit: 100 };
const sweep = { queuedSeconds: 50, limit: 100 };
const failed = { state: 'FAILED', evidence: null, charge: 0, url: null } as const;

/** Two at a time, and which of them is first is not left to chance: the other is a transaction that the test holds open. */
describe.skipIf(postgresUrl === null)('a race', () => {
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

  async function runningBuild(maximumAttempts = 3): Promise<Fence> {
    const id = await acceptBuild(store, { maximumAttempts });
    await store.dispatchBuilds(roomy, call);
    const claim = await store.claimBuild(id, 30, call);
    return { id, attempt: claim?.build.attempt ?? 0 };
  }

  function newDeployment(service = 'site'): NewDeployment {
    return {
      id: randomUUID(),
      tenantId: 'acme',
      service,
      rollout: rolloutSchema.parse({}),
      message: null,
      target: {
        repository: 'acme/site',
        digest: `sha256:${'a'.repeat(64)}`,
        buildId: null,
        environment: {},
        arguments: null,
        healthCheck: healthCheckSchema.parse({}),
      },
    };
  }

  async function queuedDeployment(service?: string): Promise<string> {
    const deployment = newDeployment(service);
    await store.acceptDeployment(deployment, reservation, null, call);
    return deployment.id;
  }

  async function runningDeployment(service?: string): Promise<Fence> {
    const id = await queuedDeployment(service);
    const claim = await store.claimDeployment(id, 30, call);
    return { id, attempt: claim?.deployment.attempt ?? 0 };
  }

  async function messages(): Promise<readonly string[]> {
    const ids: string[] = [];
    await store.takeOutbox(
      100,
      async (taken) => {
        ids.push(...taken.map(({ id }) => id));
      },
      call,
    );
    return ids;
  }

  async function elapse(seconds: number): Promise<void> {
    for (const table of ['builds', 'deployments']) {
      await database.query(
        `UPDATE cygni.${table} SET lease_until = lease_until - $1 * interval '1 second',
                                   enqueued_at = enqueued_at - $1 * interval '1 second'`,
        [seconds],
      );
    }
  }

  describe('for money', () => {
    const capped: Reservation = { ...reservation, limit: { ...reservation.limit, cap: 150 } };
    const reserveTheRest = `UPDATE cygni.accounts SET reserved = 100, cap = 150, ceiling = 150`;
    const oneTry = (tenantId = 'acme') => newBuild(store, { tenantId, maximumAttempts: 1 });

    it('is lost by the build that comes second', async () => {
      await store.getAccount('acme', 'USD', capped.limit, call);
      const build = await oneTry();
      await using rival = await createRival(database);
      await rival.query(reserveTheRest);
      const accepting = store.acceptBuild(build, capped, null, call);
      const outcome = accepting.catch((error: unknown) => error);
      expect(await untilItWaits(database, accepting)).toBe('waits');
      await rival.commit();
      expect(await outcome).toMatchObject({
        code: 'budget_exceeded',
        budget: { reserved: 100, limit: 150 },
      });
    });

    it('is won by the build that comes second, where the first gave its money back', async () => {
      await store.getAccount('acme', 'USD', capped.limit, call);
      await database.query(reserveTheRest);
      const build = await oneTry();
      await using rival = await createRival(database);
      await rival.query('UPDATE cygni.accounts SET reserved = 0');
      const accepting = store.acceptBuild(build, capped, null, call);
      expect(await untilItWaits(database, accepting)).toBe('waits');
      await rival.commit();
      expect(await accepting).toMatchObject({ resource: { id: build.id } });
      expect(await store.getAccount('acme', 'USD', capped.limit, call)).toMatchObject({
        reserved: 100,
        spent: 0,
        limit: 150,
      });
    });

    it('is lost by the deployment that comes second', async () => {
      await store.getAccount('acme', 'USD', capped.limit, call);
      await using rival = await createRival(database);
      await rival.query(reserveTheRest);
      const accepting = store.acceptDeployment(newDeployment(), capped, null, call);
      const outcome = accepting.catch((error: unknown) => error);
      expect(await untilItWaits(database, accepting)).toBe('waits');
      await rival.commit();
      expect(await outcome).toMatchObject({ code: 'budget_exceeded' });
    });

    it('is lost by the budget that was set for an account as it is no more', async () => {
      const expected = await store.getAccount('acme', 'USD', capped.limit, call);
      await using rival = await createRival(database);
      await rival.query('SELECT FROM cygni.accounts FOR UPDATE');
      const setting = store.setBudget('acme', 'USD', capped.limit, { cap: 500, expected }, call);
      const outcome = setting.catch((error: unknown) => error);
      expect(await untilItWaits(database, setting)).toBe('waits');
      await rival.query(reserveTheRest);
      await rival.commit();
      expect(await outcome).toMatchObject({ code: 'precondition_failed' });
    });

    it('holds up nobody whose money is another', async () => {
      await store.getAccount('acme', 'USD', capped.limit, call);
      await acceptBuild(store, { tenantId: 'other' });
      await using rival = await createRival(database);
      await rival.query(`SELECT FROM cygni.accounts WHERE tenant_id = 'acme' FOR UPDATE`);
      const [ofHeld, ofFree] = [await oneTry(), await oneTry('other')];
      // Both at once, so that they are judged together.
      const held = store.acceptBuild(ofHeld, capped, null, call);
      const free = store.acceptBuild(ofFree, reservation, null, call);
      await free;
      expect(await untilItWaits(database, held)).toBe('waits');
      await rival.commit();
      expect((await held).replayed).toBe(false);
    });

    it('goes by the new budget, where an account is opened beside it', async () => {
      await using rival = await createRival(database);
      await rival.query(
        `SELECT pg_advisory_xact_lock(hashtextextended('cygni.budget ' || 'acme' || ' ' || 'USD', 0));
         INSERT INTO cygni.budgets (tenant_id, currency, cap) VALUES ('acme', 'USD', 5)`,
      );
      const opening = store.getAccount('acme', 'USD', capped.limit, call);
      expect(await untilItWaits(database, opening)).toBe('waits');
      await rival.commit();
      expect(await opening).toMatchObject({ limit: 5 });
    });
  });

  describe('between what ends work and what goes on with it', () => {
    it('is won by the heartbeat that was before the sweep', async () => {
      const fences = [await runningBuild(1)] as const;
      await elapse(31);
      await using rival = await createRival(database);
      await rival.query(`UPDATE cygni.builds SET lease_until = now() + interval '30 seconds'`);
      const sweeping = store.sweep(sweep, call);
      expect(await untilItWaits(database, sweeping)).toBe('waits');
      await rival.commit();
      expect(await sweeping).toMatchObject({ deadLettered: 0 });
      expect(await store.heartbeatBuild(fences[0], 30, call)).not.toBe(null);
    });

    it('is won by the release that was before the sweep', async () => {
      const { id } = await runningBuild(1);
      await elapse(31);
      await using rival = await createRival(database);
      await rival.query(
        `UPDATE cygni.builds SET state = 'QUEUED', dispatched = false, lease_until = NULL, counted_attempts = 0`,
      );
      const sweeping = store.sweep(sweep, call);
      expect(await untilItWaits(database, sweeping)).toBe('waits');
      await rival.commit();
      expect(await sweeping).toMatchObject({ deadLettered: 0 });
      expect(await store.getBuild('acme', id, call)).toMatchObject({ state: 'QUEUED' });
    });

    it.each([
      ['heartbeat', `lease_until = now() + interval '30 seconds'`, 'RUNNING'],
      ['release', `state = 'QUEUED', lease_until = NULL, counted_attempts = 0`, 'QUEUED'],
    ])('is won by the %s of a deployment that was before the sweep', async (_, change, state) => {
      const { id } = await runningDeployment();
      await database.query('UPDATE cygni.deployments SET maximum_attempts = 1');
      await elapse(31);
      await using rival = await createRival(database);
      await rival.query(`UPDATE cygni.deployments SET ${change}`);
      const sweeping = store.sweep(sweep, call);
      expect(await untilItWaits(database, sweeping)).toBe('waits');
      await rival.commit();
      expect(await sweeping).toMatchObject({ deadLettered: 0 });
      expect(await store.getDeployment('acme', id, call)).toMatchObject({ state });
    });

    it('lets who ends a deployment wake the one that is being accepted', async () => {
      const first = await runningDeployment();
      const second = await queuedDeployment();
      await messages();
      await using rival = await createRival(database);
      await rival.query(`SELECT FROM cygni.services FOR UPDATE`);
      await rival.query(
        `INSERT INTO cygni.revisions SELECT (jsonb_populate_record(revision, '{"number": 3}')).*
           FROM cygni.revisions AS revision WHERE number = 2`,
      );
      const third = randomUUID();
      await rival.query(
        `UPDATE cygni.deployments SET state = 'SUPERSEDED', superseded_by = $2, cost = 0, finished_at = now()
          WHERE id = $1`,
        [second, third],
      );
      await rival.query(
        `INSERT INTO cygni.deployments
           (tenant_id, id, service, position, revision, kind, maximum_attempts, rollout, currency, estimate)
         SELECT tenant_id, $2, service, 3, 3, kind, maximum_attempts, rollout, currency, 0
           FROM cygni.deployments WHERE id = $1`,
        [second, third],
      );
      const finishing = store.finishDeployment(first, failed, call);
      expect(await untilItWaits(database, finishing)).toBe('waits');
      await rival.commit();
      expect(await finishing).toBe(true);
      expect(await messages()).toEqual([third]);
    });
  });

  describe('for the door to the queue', () => {
    it('counts what another dispatch lets through', async () => {
      const [first, second] = [await acceptBuild(store), await acceptBuild(store)];
      await using rival = await createRival(database);
      await rival.query(
        `SELECT pg_advisory_xact_lock(hashtextextended('cygni.dispatch', 0));
         UPDATE cygni.builds SET dispatched = true WHERE id = '${second}'`,
      );
      const dispatching = store.dispatchBuilds({ ...roomy, maximumPerTenant: 1 }, call);
      expect(await untilItWaits(database, dispatching)).toBe('waits');
      await rival.commit();
      expect(await dispatching).toBe(0);
      expect(await store.claimBuild(first, 30, call)).toBe(null);
    });

    it('is lost by a build that is cancelled in the same moment', async () => {
      const id = await acceptBuild(store);
      await using rival = await createRival(database);
      await rival.query(
        `UPDATE cygni.builds SET state = 'CANCELLED', cost = 0, finished_at = now(), cancel_requested = true`,
      );
      const dispatching = store.dispatchBuilds(roomy, call);
      expect(await untilItWaits(database, dispatching)).toBe('waits');
      await rival.commit();
      expect(await dispatching).toBe(0);
      expect(await messages()).not.toContain(id);
    });

    it('is not held up by a relay that hangs', async () => {
      await acceptBuild(store);
      await using rival = await createRival(database);
      await rival.query('SELECT FROM cygni.outbox FOR UPDATE');
      const dispatching = store.dispatchBuilds(roomy, call);
      expect(await untilItWaits(database, dispatching)).toBe('ended');
      expect(await dispatching).toBe(1);
      await rival.commit();
    });
  });

  describe('with the sweep', () => {
    it.each([
      ['a queued build', 'builds', () => acceptBuild(store)],
      ['a running build', 'builds', async () => (await runningBuild()).id],
      ['a queued deployment', 'deployments', () => queuedDeployment(randomUUID())],
      [
        'a running deployment',
        'deployments',
        async () => (await runningDeployment(randomUUID())).id,
      ],
    ])('leaves %s that somebody works on to them', async (_, table, create) => {
      const [busy, idle] = [await create(), await create()];
      await store.dispatchBuilds(roomy, call);
      await messages();
      await elapse(100);
      await using rival = await createRival(database);
      await rival.query(`SELECT FROM cygni.${table} WHERE id = $1 FOR UPDATE`, [busy]);
      const sweeping = store.sweep(sweep, call);
      expect(await untilItWaits(database, sweeping)).toBe('ended');
      expect(await sweeping).toMatchObject({ requeued: 1 });
      expect(await messages()).toEqual([idle]);
      await rival.commit();
    });

    it('leaves a key that somebody uses to them', async () => {
      for (const key of ['busy', 'idle']) {
        const used = { route: 'r', key, fingerprint: 'f', retainSeconds: 1 };
        await store.acceptDeployment(newDeployment(key), reservation, used, call);
      }
      await database.query(`UPDATE cygni.idempotency SET expires_at = now() - interval '1 second'`);
      await using rival = await createRival(database);
      await rival.query(`SELECT FROM cygni.idempotency WHERE key = 'busy' FOR UPDATE`);
      const sweeping = store.sweep(sweep, call);
      expect(await untilItWaits(database, sweeping)).toBe('ended');
      expect(await sweeping).toMatchObject({ expired: 1 });
      await rival.commit();
    });
  });

  describe('with what removes what is old', () => {
    const old = { workSeconds: 0, sourceSeconds: 0, eventSeconds: 1_000, limit: 100 };

    it('leaves it to the one that is at it', async () => {
      await store.finishBuild(
        await runningBuild(),
        { state: 'TIMED_OUT', image: null, failure: null, charge: 0 },
        call,
      );
      await using rival = await createRival(database);
      await rival.query(`SELECT pg_advisory_xact_lock(hashtextextended('cygni.prune', 0))`);
      expect(await store.prune(old, call)).toMatchObject({ builds: 0 });
      await rival.commit();
      expect(await store.prune(old, call)).toMatchObject({ builds: 1 });
    });

    it.each(['builds', 'sources'] as const)('leaves %s that come into use', async (table) => {
      for (let round = 0; round < 2; round += 1) {
        const end = { state: 'TIMED_OUT', image: null, failure: null, charge: 0 } as const;
        await store.finishBuild(await runningBuild(), end, call);
      }
      if (table === 'sources') await database.query('DELETE FROM cygni.builds');
      const [busy] = await database.query(`SELECT id FROM cygni.${table} LIMIT 1`);
      await using rival = await createRival(database);
      await rival.query(`SELECT FROM cygni.${table} WHERE id = $1 FOR KEY SHARE`, [busy?.id]);
      const pruning = store.prune(old, call);
      expect(await untilItWaits(database, pruning)).toBe('ended');
      expect(await pruning).toMatchObject({ [table]: 1 });
      await rival.commit();
      expect(await store.prune(old, call)).toMatchObject({ [table]: 1 });
    });
  });

  describe('on a log', () => {
    const lease = { leaseSeconds: 30 };
    const completeIt = 'UPDATE cygni.log_archives SET lease_until = NULL';
    const garbage = () => database.query('SELECT key FROM cygni.garbage');

    async function endedLog(): Promise<string> {
      const fence = await runningBuild();
      const line = { time: 't', text: 'line' };
      await store.appendLog({ ...fence, position: 0, lines: [line] }, call);
      const end = { state: 'TIMED_OUT', image: null, failure: null, charge: 0 } as const;
      await store.finishBuild(fence, end, call);
      return fence.id;
    }

    it('is lost by the archiver that begins second', async () => {
      const id = await endedLog();
      await using rival = await createRival(database);
      await rival.query(
        `INSERT INTO cygni.log_archives (tenant_id, build_id, key, lease_until)
         VALUES ('acme', $1, 'theirs', now() + interval '30 seconds')`,
        [id],
      );
      const archiving = store.archiveLog(lease, async () => {}, call);
      expect(await untilItWaits(database, archiving)).toBe('waits');
      await rival.commit();
      expect(await archiving).toBe(false);
      expect(await database.query('SELECT key FROM cygni.log_archives')).toEqual([
        { key: 'theirs' },
      ]);
    });

    it('is won by the archiver that completes it late, but before another begins anew', async () => {
      const id = await endedLog();
      let given = '';
      const failing = store.archiveLog(
        lease,
        async ({ key }) => {
          given = key;
          throw new Error('late');
        },
        call,
      );
      await expect(failing).rejects.toThrow('late');
      await database.query(
        `UPDATE cygni.log_archives SET lease_until = now() - interval '1 second'`,
      );
      await using rival = await createRival(database);
      await rival.query(completeIt);
      const archiving = store.archiveLog(lease, async () => {}, call);
      expect(await untilItWaits(database, archiving)).toBe('waits');
      await rival.commit();
      expect(await archiving).toBe(false);
      expect(await store.getLogArchive('acme', id, call)).toBe(given);
      expect(await garbage()).toEqual([]);
    });

    it('has one end, also where its completion was not heard of and is tried again', async () => {
      const id = await endedLog();
      let given = '';
      await store.archiveLog(
        lease,
        async ({ key }) => {
          given = key;
          await database.query(completeIt);
        },
        call,
      );
      expect(await store.getLogArchive('acme', id, call)).toBe(given);
      expect(await garbage()).toEqual([]);
      const { items } = await store.listEvents('acme', { limit: 100, cursor: null }, call);
      expect(items.map(({ type }) => type)).not.toContain('build.log_archived');
    });
  });

  it('with a migration holds up no server whose schema is new enough', async () => {
    await using rival = await createRival(database);
    await rival.query('SELECT pg_advisory_xact_lock(7021594113)');
    const another = createPostgresStore({ url: database.url });
    const opening = another.open(call);
    expect(await untilItWaits(database, opening)).toBe('ended');
    await opening;
    await another.close();
  });
});
