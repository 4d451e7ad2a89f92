import { randomUUID } from 'node:crypto';
import { healthCheckSchema, rolloutSchema, type Store } from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptBuild, call, reservation } from './support/calls.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

const roomy = { maximumPerTenant: 100, maximumUnclaimed: 100, limit: 100 };
const sweep = { queuedSeconds: 50, limit: 100 };

/** What no call of this version leaves behind. */
describe.skipIf(postgresUrl === null)('the sweep', () => {
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

  async function dispatchedBuild(maximumAttempts = 3): Promise<string> {
    const id = await acceptBuild(store, { maximumAttempts });
    await store.dispatchBuilds(roomy, call);
    return id;
  }

  async function runningBuild(maximumAttempts?: number): Promise<string> {
    const id = await dispatchedBuild(maximumAttempts);
    await store.claimBuild(id, 30, call);
    return id;
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

  it.each([
    ['queued', dispatchedBuild],
    ['running', runningBuild],
  ])('sends a message of a %s build beside a note that nobody delivers', async (_, create) => {
    const id = await create();
    await messages();
    // As a relay leaves it that hangs while the build is dispatched.
    await database.query(`INSERT INTO cygni.outbox (kind, work_id) VALUES ('build', $1)`, [id]);
    await elapse(100);
    expect(await store.sweep(sweep, call)).toMatchObject({ requeued: 1 });
    expect(await messages()).toEqual([id]);
  });

  it('sends no message of a build that the version before gave back after its last attempt', async () => {
    for (const _ of ['one', 'another']) await runningBuild(1);
    await messages();
    // It leaves what it gives back as it was: dispatched.
    await database.query(`UPDATE cygni.builds SET state = 'QUEUED', lease_until = NULL`);
    await elapse(100);
    const swept = await store.sweep({ ...sweep, limit: 1 }, call);
    expect(swept).toMatchObject({ requeued: 0, deadLettered: 1 });
  });

  it('ends a deployment as cancelled that is to be cancelled when its worker dies', async () => {
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
    const deployment = { id, tenantId: 'acme', service: 'site', rollout, message: null, target };
    await store.acceptDeployment(deployment, reservation, null, call);
    await store.claimDeployment(id, 30, call);
    await database.query('UPDATE cygni.deployments SET cancel_requested = true');
    expect(await store.sweep(sweep, call)).toMatchObject({ deadLettered: 0 });
    await elapse(31);
    expect(await store.sweep(sweep, call)).toMatchObject({ deadLettered: 0, requeued: 0 });
    expect(await store.getDeployment('acme', id, call)).toMatchObject({ state: 'CANCELLED' });
  });
});
