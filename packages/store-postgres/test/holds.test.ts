import { randomUUID } from 'node:crypto';
import { type Fence, healthCheckSchema, rolloutSchema, type Store } from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptBuild, call, reservation } from './support/calls.ts';
import { createRival, untilItWaits } from './support/rival.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

const roomy = { maximumPerTenant: 100, maximumUnclaimed: 100, limit: 100 };
const sweep = { queuedSeconds: 50, limit: 100 };
const buildEnd = { state: 'SUCCEEDED', image: null, failure: null, charge: 40 } as const;
const deploymentEnd = { state: 'SUCCEEDED', evidence: null, url: null, charge: 40 } as const;

describe.skipIf(postgresUrl === null)('a hold', () => {
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

  async function runningBuild() {
    const id = await acceptBuild(store, { maximumAttempts: 1 });
    await store.dispatchBuilds(roomy, call);
    const claim = await store.claimBuild(id, 30, call);
    return { id, attempt: claim?.build.attempt ?? 0 };
  }

  async function queuedDeployment(service = 'site') {
    const id = randomUUID();
    const target = {
      repository: 'site',
      digest: 'sha256:0',
      buildId: null,
      environment: {},
      arguments: null,
      healthCheck: healthCheckSchema.parse({}),
    };
    const rollout = rolloutSchema.parse({});
    const deployment = { id, tenantId: 'acme', service, rollout, message: null, target };
    await store.acceptDeployment(deployment, reservation, null, call);
    return id;
  }

  async function runningDeployment() {
    const id = await queuedDeployment();
    const claim = await store.claimDeployment(id, 30, call);
    return { id, attempt: claim?.deployment.attempt ?? 0 };
  }

  async function expire(table: 'builds' | 'deployments', id: string) {
    await database.query(
      `UPDATE cygni.${table} SET lease_until = now() - interval '1 second', maximum_attempts = 1
        WHERE id = $1`,
      [id],
    );
  }

  async function finishWaiting(fence: Fence) {
    await using rival = await createRival(database);
    await rival.query('SELECT FROM cygni.accounts FOR UPDATE');
    const finishing = store.finishBuild(fence, buildEnd, call);
    expect(await untilItWaits(database, finishing)).toBe('waits');
    await rival.commit();
    await finishing;
  }

  /** Each way in which work ends, in the order: make the work, then end it. */
  const ways: Record<string, () => Promise<{ id: string; end: () => Promise<unknown> }>> = {
    async 'a build that is finished'() {
      const fence = await runningBuild();
      return { id: fence.id, end: () => store.finishBuild(fence, buildEnd, call) };
    },
    async 'a build whose end waits for its money'() {
      const fence = await runningBuild();
      return { id: fence.id, end: () => finishWaiting(fence) };
    },
    async 'a build that is cancelled'() {
      const id = await acceptBuild(store);
      return { id, end: () => store.cancelBuild('acme', id, call) };
    },
    async 'a build that is given back after it was cancelled'() {
      const fence = await runningBuild();
      await store.cancelBuild('acme', fence.id, call);
      return { id: fence.id, end: () => store.releaseBuild(fence, { countAttempt: true }, call) };
    },
    async 'a build that the sweep ends'() {
      const { id } = await runningBuild();
      await expire('builds', id);
      return { id, end: () => store.sweep(sweep, call) };
    },
    async 'a deployment that is finished'() {
      const fence = await runningDeployment();
      return { id: fence.id, end: () => store.finishDeployment(fence, deploymentEnd, call) };
    },
    async 'a deployment that another takes the place of'() {
      const id = await queuedDeployment();
      return { id, end: () => queuedDeployment() };
    },
    async 'a deployment that the sweep ends'() {
      const { id } = await runningDeployment();
      await expire('deployments', id);
      return { id, end: () => store.sweep(sweep, call) };
    },
  };

  describe.each(Object.keys(ways))('of %s', (way) => {
    it('is closed, and those of other work stay open', async () => {
      const other = await acceptBuild(store);
      const { id, end } = (await ways[way]?.()) ?? { id: '', end: async () => {} };
      await end();
      const holds = await database.query(
        `SELECT state <> 'open' AS closed FROM cygni.holds WHERE work_id = ANY ($1) ORDER BY state <> 'open'`,
        [[id, other]],
      );
      expect(holds).toEqual([{ closed: false }, { closed: true }]);
    });

    it('that is closed already is not closed again, and its money not moved again', async () => {
      await acceptBuild(store);
      const { id, end } = (await ways[way]?.()) ?? { id: '', end: async () => {} };
      await database.query(
        `WITH closed AS (
           UPDATE cygni.holds SET state = 'released', closed_at = now() WHERE work_id = $1
           RETURNING *
         ),
         moved AS (UPDATE cygni.accounts SET reserved = reserved - 100)
         INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
         SELECT tenant_id, currency, period_start, work_id, 'release', amount FROM closed`,
        [id],
      );
      const before = await database.query('SELECT spent FROM cygni.accounts');
      await end();
      const open = await database.query(
        `SELECT sum(amount)::int AS amount FROM cygni.holds WHERE state = 'open'`,
      );
      expect(await database.query('SELECT spent, reserved::int FROM cygni.accounts')).toEqual([
        { spent: before[0]?.spent, reserved: open[0]?.amount },
      ]);
    });
  });
});
