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
import { acceptBuild, call, newBuild } from './support/calls.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

const page = { limit: 100, cursor: null };
const roomy = { maximumPerTenant: 100, maximumUnclaimed: 100, limit: 100 };
const charged = { state: 'SUCCEEDED', charge: 40, url: 'http://site.test' } as const;
const ofBuild = { image: null, failure: null };
const ofDeployment = { evidence: null };

/** Two of everything that carry the same names. What is done to one leaves the other as it is. */
describe.skipIf(postgresUrl === null)('apart from each other are', () => {
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

  const limitOf = (month: number, cap: number | null = null) => ({
    cap,
    periodStart: new Date(Date.UTC(2026, month)).toISOString(),
    periodEnd: new Date(Date.UTC(2026, month + 1)).toISOString(),
  });
  const reservation = (currency = 'USD', month = 0): Reservation => ({
    amount: 100,
    currency,
    limit: limitOf(month),
  });

  async function runningBuild(tenantId: string, money = reservation()): Promise<Fence> {
    const build = await newBuild(store, { tenantId, maximumAttempts: 2 });
    await store.acceptBuild(build, money, null, call);
    await store.dispatchBuilds(roomy, call);
    const claim = await store.claimBuild(build.id, 30, call);
    return { id: build.id, attempt: claim?.build.attempt ?? 0 };
  }

  async function accept(
    tenantId: string,
    changes: Partial<NewDeployment> = {},
    money = reservation(),
  ): Promise<string> {
    const deployment: NewDeployment = {
      id: randomUUID(),
      tenantId,
      service: 'site',
      rollout: rolloutSchema.parse({}),
      message: null,
      target: {
        repository: 'site',
        digest: `sha256:${'a'.repeat(64)}`,
        buildId: null,
        environment: {},
        arguments: null,
        healthCheck: healthCheckSchema.parse({}),
      },
      ...changes,
    };
    await store.acceptDeployment(deployment, money, null, call);
    return deployment.id;
  }

  async function run(id: string): Promise<Fence> {
    const claim = await store.claimDeployment(id, 30, call);
    return { id, attempt: claim?.deployment.attempt ?? 0 };
  }

  async function deployed(tenantId: string, changes?: Partial<NewDeployment>): Promise<void> {
    const fence = await run(await accept(tenantId, changes));
    const end = { ...charged, ...ofDeployment, url: `http://${tenantId}.test` };
    expect(await store.finishDeployment(fence, end, call)).toBe(true);
  }

  const account = (tenantId: string, currency = 'USD', month = 0) =>
    store.getAccount(tenantId, currency, limitOf(month), call);
  const service = (tenantId: string, name = 'site') =>
    store.getService({ tenantId, service: name }, call);

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

  describe('tenants', () => {
    it('who each see their own', async () => {
      for (const tenantId of ['acme', 'other']) {
        const fence = await runningBuild(tenantId);
        const lines = [{ time: 't', text: `of ${tenantId}` }];
        await store.appendLog({ ...fence, position: 0, lines }, call);
        await deployed(tenantId);
        await deployed(tenantId, { service: `only-${tenantId}` });
      }
      const [build] = (await store.listBuilds('acme', page, call)).items;
      const { items: deployments } = await store.listDeployments(
        'acme',
        { service: null },
        page,
        call,
      );
      const [deployment] = deployments;
      expect(await store.getBuild('other', build?.id ?? '', call)).toBe(null);
      expect(await store.getSource('other', build?.sourceId ?? '', call)).toBe(null);
      expect(await store.getDeployment('other', deployment?.id ?? '', call)).toBe(null);
      const log = { after: 0, limit: 10 };
      expect(await store.readLog('other', build?.id ?? '', log, call)).toEqual([]);
      expect(await store.getRevision({ tenantId: 'other', service: 'only-acme' }, 1, call)).toBe(
        null,
      );
      expect(await service('other', 'only-acme')).toBe(null);
      expect(deployments.every(({ tenantId }) => tenantId === 'acme')).toBe(true);

      const lists = [
        await store.listBuilds('other', page, call),
        await store.listDeployments('other', { service: null }, page, call),
        await store.listDeployments('other', { service: 'site' }, page, call),
        await store.listServices('other', page, call),
        await store.listRevisions({ tenantId: 'other', service: 'site' }, page, call),
        await store.listEvents('other', page, call),
      ];
      for (const { items } of lists) {
        expect(items.length).toBeGreaterThan(0);
        expect(items.filter(({ tenantId }) => tenantId !== 'other')).toEqual([]);
      }
      const ofSite = lists[2]?.items ?? [];
      expect(ofSite).toHaveLength(1);
    });

    it('whose money is moved by their own work', async () => {
      const fences = [await runningBuild('acme'), await runningBuild('other')] as const;
      await store.finishBuild(fences[0], { ...charged, ...ofBuild }, call);
      expect(await account('acme')).toMatchObject({ reserved: 0, spent: 40 });
      expect(await account('other')).toMatchObject({ reserved: 100, spent: 0 });
      await accept('acme');
      expect(await account('other')).toMatchObject({ reserved: 100 });
      await store.setBudget('acme', 'USD', limitOf(0), { cap: 500 }, call);
      expect(await account('other')).toMatchObject({ limit: null });
      expect(await account('third')).toMatchObject({ limit: null });
      for (const tenantId of ['acme', 'other']) {
        const expected = await account(tenantId);
        await store.setBudget(tenantId, 'USD', limitOf(0), { cap: 600, expected }, call);
        expect(await account(tenantId)).toMatchObject({ limit: 600 });
      }
    });

    it('whose services go on by themselves', async () => {
      await deployed('acme');
      await deployed('other');
      await deployed('other');
      await deployed('acme');
      const address = 'http://moved.test';
      await store.setServiceUrl({ tenantId: 'acme', service: 'site' }, address, call);
      expect(await service('other')).toMatchObject({ url: 'http://other.test' });

      const [first] = [await accept('acme')];
      await accept('other');
      await accept('other');
      expect(await store.getDeployment('acme', first, call)).toMatchObject({ state: 'QUEUED' });
      const fence = await run(first);
      const failed = { ...charged, ...ofDeployment, state: 'FAILED', charge: 0 } as const;
      await store.finishDeployment(fence, { ...failed, url: 'http://failed.test' }, call);
      expect(await service('other')).toMatchObject({
        stableRevision: 2,
        url: 'http://other.test',
      });
    });

    it('who roll back to what they have deployed themselves', async () => {
      await deployed('other');
      await deployed('other');
      await deployed('acme');
      const roll = (rollbackTo: number | null, tenantId = 'acme') =>
        accept(tenantId, { target: { rollbackTo } });
      await expect(roll(2)).rejects.toMatchObject({ code: 'not_found' });
      await expect(roll(null)).rejects.toMatchObject({ code: 'conflict' });
      await deployed('third', { service: 'another' });
      await expect(roll(1, 'third')).rejects.toMatchObject({ code: 'not_found' });
    });

    it('whose revisions are healthy by themselves', async () => {
      await deployed('acme');
      await deployed('acme');
      await accept('other');
      await accept('other');
      const revision = (number: number) =>
        store.getRevision({ tenantId: 'other', service: 'site' }, number, call);
      await deployed('acme');
      expect(await revision(1)).toMatchObject({ healthyAt: null });
      await deployed('other');
      const rollback = await accept('other', { target: { rollbackTo: 2 } });
      await store.finishDeployment(await run(rollback), { ...charged, ...ofDeployment }, call);
      expect(await service('other')).toMatchObject({ stableRevision: 2, previousRevision: null });
    });

    it('who wait for no one else', async () => {
      await run(await accept('acme'));
      await accept('acme');
      const id = await accept('other');
      const fence = await run(id);
      expect(fence.attempt).toBe(1);
      await messages();
      await store.finishDeployment(fence, { ...charged, ...ofDeployment }, call);
      expect(await messages()).toEqual([]);
      const settled = await store.listSettledServices(page, call);
      expect(settled.items.map((each) => each.service.tenantId)).toEqual(['other']);
    });

    it('of whom none fills the queue of the others', async () => {
      await acceptBuild(store, { tenantId: 'acme' });
      await acceptBuild(store, { tenantId: 'acme' });
      const one = { ...roomy, maximumPerTenant: 1 };
      expect(await store.dispatchBuilds(one, call)).toBe(1);
      await acceptBuild(store, { tenantId: 'other' });
      expect(await store.dispatchBuilds(one, call)).toBe(1);
      expect(await store.dispatchBuilds(one, call)).toBe(0);
    });

    it('whose keys are forgotten one by one', async () => {
      const keyOf = (route: string, key: string) => ({
        route,
        key,
        fingerprint: 'f',
        retainSeconds: 1_000,
      });
      const use = (tenantId: string, route: string, key: string) =>
        store.acceptDeployment(
          {
            id: randomUUID(),
            tenantId,
            service: randomUUID(),
            rollout: rolloutSchema.parse({}),
            message: null,
            target: {
              repository: 'site',
              digest: 'sha256:0',
              buildId: null,
              environment: {},
              arguments: null,
              healthCheck: healthCheckSchema.parse({}),
            },
          },
          reservation(),
          keyOf(route, key),
          call,
        );
      for (const [tenantId, route, key] of [
        ['acme', 'r', 'k'],
        ['other', 'r', 'k'],
        ['acme', 'other', 'k'],
        ['acme', 'r', 'other'],
      ] as const) {
        await use(tenantId, route, key);
      }
      await database.query(
        `UPDATE cygni.idempotency SET expires_at = now() - interval '1 second'
          WHERE tenant_id = 'acme' AND route = 'r' AND key = 'k'`,
      );
      const swept = await store.sweep({ queuedSeconds: 1_000, limit: 100 }, call);
      expect(swept).toMatchObject({ expired: 1 });
      expect((await use('other', 'r', 'k')).replayed).toBe(true);
      expect((await use('acme', 'other', 'k')).replayed).toBe(true);
      expect((await use('acme', 'r', 'other')).replayed).toBe(true);
      expect((await use('acme', 'r', 'k')).replayed).toBe(false);
    });
  });

  it('tenants whose revisions become healthy by their own deployments', async () => {
    await accept('other');
    await deployed('acme');
    const revision = await store.getRevision({ tenantId: 'other', service: 'site' }, 1, call);
    expect(revision).toMatchObject({ healthyAt: null });
  });

  describe('currencies', () => {
    it('each with its account and its budget', async () => {
      const fences = [
        await runningBuild('acme', reservation('USD')),
        await runningBuild('acme', reservation('USD')),
        await runningBuild('acme', reservation('EUR')),
      ] as const;
      expect(await account('acme', 'USD')).toMatchObject({ reserved: 200 });
      expect(await account('acme', 'EUR')).toMatchObject({ currency: 'EUR', reserved: 100 });
      await accept('acme', {}, reservation('USD'));
      expect(await account('acme', 'EUR')).toMatchObject({ reserved: 100, spent: 0 });
      await store.finishBuild(fences[0], { ...charged, ...ofBuild }, call);
      expect(await account('acme', 'EUR')).toMatchObject({ reserved: 100, spent: 0 });
      expect(await account('acme', 'USD')).toMatchObject({ reserved: 200, spent: 40 });
      await store.setBudget('acme', 'USD', limitOf(0), { cap: 500 }, call);
      expect(await account('acme', 'EUR')).toMatchObject({ limit: null });
      expect(await account('acme', 'GBP')).toMatchObject({ limit: null });
      for (const currency of ['EUR', 'USD']) {
        const expected = await account('acme', currency);
        await store.setBudget('acme', currency, limitOf(0), { cap: 600, expected }, call);
        expect(await account('acme', currency)).toMatchObject({ limit: 600 });
      }
    });
  });

  describe('periods', () => {
    it('each with its money', async () => {
      const fence = await runningBuild('acme', reservation('USD', 0));
      await runningBuild('acme', reservation('USD', 0));
      await runningBuild('acme', reservation('USD', 1));
      expect(await account('acme', 'USD', 0)).toMatchObject({ reserved: 200 });
      await accept('acme', {}, reservation('USD', 1));
      await store.finishBuild(fence, { ...charged, ...ofBuild }, call);
      expect(await account('acme', 'USD', 0)).toMatchObject({ reserved: 100, spent: 40 });
      expect(await account('acme', 'USD', 1)).toMatchObject({ reserved: 200, spent: 0 });
    });

    it('of which those that are over keep their cap', async () => {
      for (const month of [0, 1, 2]) await account('acme', 'USD', month);
      await store.setBudget('acme', 'USD', limitOf(1), { cap: 500 }, call);
      const capOf = async (month: number) => (await account('acme', 'USD', month)).limit;
      expect([await capOf(0), await capOf(1), await capOf(2)]).toEqual([null, 500, 500]);
      for (const month of [2, 1]) {
        const expected = await account('acme', 'USD', month);
        await store.setBudget('acme', 'USD', limitOf(month), { cap: 600, expected }, call);
        expect(await capOf(month)).toBe(600);
      }
    });
  });

  describe('services', () => {
    it('each with its deployments', async () => {
      const [site, api] = [await accept('acme'), await accept('acme', { service: 'api' })];
      expect(await store.getDeployment('acme', site, call)).toMatchObject({ state: 'QUEUED' });
      const fence = await run(api);
      expect(fence.attempt).toBe(1);
      await messages();
      await store.finishDeployment(fence, { ...charged, ...ofDeployment }, call);
      expect(await messages()).toEqual([]);
      const settled = async () =>
        (await store.listSettledServices(page, call)).items.map((each) => each.service.name);
      expect(await settled()).toEqual(['api']);
      await run(site);
      expect(await settled()).toEqual(['api']);
    });

    it('each with an order, also where one was given back', async () => {
      const first = await run(await accept('acme'));
      const second = await accept('acme');
      await store.releaseDeployment(first, { countAttempt: false }, call);
      expect(await store.claimDeployment(second, 30, call)).toBe(null);
      expect(await run(first.id)).toEqual({ id: first.id, attempt: 2 });
    });

    it('each with its revisions', async () => {
      await deployed('acme');
      await deployed('acme');
      await deployed('acme', { service: 'api' });
      const back = accept('acme', { service: 'api', target: { rollbackTo: 2 } });
      await expect(back).rejects.toMatchObject({ code: 'not_found' });
    });
  });
});
