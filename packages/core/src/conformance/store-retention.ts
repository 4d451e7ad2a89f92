import type { NewDeployment, PruneOptions, PruneResult } from '../contracts/store.ts';
import { healthCheckSchema } from '../model/deployment.ts';
import { call, type Fixture, finished, leaseSeconds, readAll, succeeded } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const kept = 1_000;
const options: PruneOptions = {
  workSeconds: kept,
  sourceSeconds: kept,
  eventSeconds: kept,
  limit: 100,
};
const nothing: PruneResult = { builds: 0, deployments: 0, sources: 0, events: 0 };

export function testRetention({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  let images = 0;

  /** A build that has ended, with an image of its own. */
  async function endedBuild(): Promise<{ readonly id: string; readonly digest: string }> {
    const { store, runningBuild } = current();
    const fence = await runningBuild();
    images += 1;
    const digest = `sha256:${images.toString(16).padStart(64, '0')}`;
    const image = { repository: 'acme/site', digest, sizeBytes: 1 };
    const line = { time: '2026-01-01T00:00:00.000Z', text: 'building' };
    await store.appendLog({ ...fence, position: 0, lines: [line] }, call);
    await store.finishBuild(fence, { ...finished, image }, call);
    return { id: fence.id, digest };
  }

  function deploymentOf(digest: string, buildId: string | null): Partial<NewDeployment> {
    const target = {
      repository: 'acme/site',
      digest,
      buildId,
      environment: {},
      arguments: null,
      healthCheck: healthCheckSchema.parse({}),
    };
    return { target };
  }

  async function deployed({ id, digest }: { readonly id: string; readonly digest: string }) {
    await current().deployed(deploymentOf(digest, id));
  }

  const exists = async (id: string) => (await current().store.getBuild('acme', id, call)) !== null;

  async function pruned(): Promise<PruneResult> {
    const { store } = current();
    return store.prune({ ...options, eventSeconds: 1_000 * kept }, call);
  }

  describe('prune', () => {
    it('removes a build long after its end, with its log and its source; its money is remembered', async () => {
      const { store, elapse, account, garbage, eventTypes } = current();
      const { id } = await endedBuild();
      const build = await store.getBuild('acme', id, call);
      const source = await store.getSource('acme', build?.sourceId ?? '', call);
      await elapse(kept - 10);
      expect(await pruned()).toEqual(nothing);
      await elapse(20);
      expect(await pruned()).toEqual({ ...nothing, builds: 1, sources: 1 });
      expect(await exists(id)).toBe(false);
      expect(await store.readLog('acme', id, { after: 0, limit: 10 }, call)).toEqual([]);
      expect(await store.getSource('acme', source?.id ?? '', call)).toBe(null);
      expect(await garbage()).toEqual([source?.key]);
      expect(await account()).toMatchObject({ spent: 40, reserved: 0 });
      expect((await eventTypes()).includes('retention.pruned')).toBe(true);
      expect(await pruned()).toEqual(nothing);
    });

    it('leaves what has not ended, however old', async () => {
      const { store, queuedBuild, runningBuild, queuedDeployment, elapse } = current();
      const builds = [await queuedBuild(), (await runningBuild()).id];
      const deployment = await queuedDeployment();
      await elapse(10 * kept);
      expect(await pruned()).toEqual(nothing);
      for (const id of builds) expect(await exists(id)).toBe(true);
      expect((await store.getDeployment('acme', deployment, call)) !== null).toBe(true);
    });

    it('removes deployments long after their end, and leaves services and revisions', async () => {
      const { store, deployed: deploy, elapse } = current();
      await deploy();
      await deploy();
      await elapse(kept + 10);
      expect(await pruned()).toEqual({ ...nothing, deployments: 2 });
      const key = { tenantId: 'acme', service: 'site' };
      expect(await store.getService(key, call)).toMatchObject({
        stableRevision: 2,
        previousRevision: 1,
      });
      expect(
        (await store.listRevisions(key, { limit: 10, cursor: null }, call)).items,
      ).toHaveLength(2);
      await deploy();
      expect(await store.getService(key, call)).toMatchObject({ stableRevision: 3 });
    });

    it('keeps the build of the stable and of the previous revision for ever', async () => {
      const { store, elapse } = current();
      const [first, second, third] = [await endedBuild(), await endedBuild(), await endedBuild()];
      for (const build of [first, second, third]) await deployed(build);
      await elapse(kept + 10);
      expect(await pruned()).toMatchObject({ builds: 1 });
      expect([await exists(first.id), await exists(second.id), await exists(third.id)]).toEqual([
        false,
        true,
        true,
      ]);
      const key = { tenantId: 'acme', service: 'site' };
      expect(await store.getRevision(key, 1, call)).toMatchObject({ buildId: null });
      expect(await store.getRevision(key, 3, call)).toMatchObject({ buildId: third.id });
      await elapse(100 * kept);
      expect(await pruned()).toMatchObject({ builds: 0 });
    });

    it('keeps the build that a revision names, whatever image it has', async () => {
      const { elapse } = current();
      const build = await endedBuild();
      await deployed({ id: build.id, digest: `sha256:${'f'.repeat(64)}` });
      await elapse(kept + 10);
      expect(await pruned()).toMatchObject({ builds: 0 });
      expect(await exists(build.id)).toBe(true);
    });

    it('removes a build whose image is only what another tenant has deployed', async () => {
      const { elapse } = current();
      const { id, digest } = await endedBuild();
      await current().deployed({ ...deploymentOf(digest, null), tenantId: 'other' });
      await elapse(kept + 10);
      expect(await pruned()).toMatchObject({ builds: 1 });
      expect(await exists(id)).toBe(false);
    });

    it('keeps the build of an image that was deployed by its digest', async () => {
      const { elapse } = current();
      const build = await endedBuild();
      await current().deployed(deploymentOf(build.digest, null));
      await elapse(kept + 10);
      expect(await pruned()).toMatchObject({ builds: 0 });
      expect(await exists(build.id)).toBe(true);
    });

    it('keeps the build of a revision that had the traffic until lately', async () => {
      const { elapse } = current();
      const [first, second, third] = [await endedBuild(), await endedBuild(), await endedBuild()];
      await deployed(first);
      await elapse(kept + 10);
      await deployed(second);
      await deployed(third);
      expect(await pruned()).toMatchObject({ builds: 0 });
      await elapse(kept + 10);
      expect(await pruned()).toMatchObject({ builds: 1 });
      expect(await exists(first.id)).toBe(false);
    });

    it('keeps the build of a revision that is being rolled back to', async () => {
      const { store, elapse, queuedDeployment } = current();
      const builds = [await endedBuild(), await endedBuild(), await endedBuild()];
      for (const build of builds) await deployed(build);
      await elapse(kept + 10);
      const id = await queuedDeployment({ target: { rollbackTo: 1 } });
      expect(await pruned()).toMatchObject({ builds: 0 });
      const claim = await store.claimDeployment(id, leaseSeconds, call);
      expect(claim?.revision.buildId).toBe(builds[0]?.id);
      await store.finishDeployment({ id, attempt: 1 }, succeeded, call);
      await elapse(kept + 10);
      await pruned();
      expect(await exists(builds[0]?.id ?? '')).toBe(true);
    });

    it('keeps of a service no build because another is being deployed', async () => {
      const { elapse, queuedDeployment } = current();
      const [first, second, third] = [await endedBuild(), await endedBuild(), await endedBuild()];
      for (const build of [first, second, third]) await deployed(build);
      await elapse(kept + 10);
      await queuedDeployment({ target: { rollbackTo: 2 } });
      expect(await pruned()).toMatchObject({ builds: 1 });
      expect(await exists(first.id)).toBe(false);
    });

    it('moves no money, and leaves what is held for other work', async () => {
      const { store, deployed: deploy, queuedBuild, elapse, account } = current();
      const id = await queuedBuild();
      await deploy();
      await endedBuild();
      await elapse(kept + 10);
      expect(await pruned()).toMatchObject({ builds: 1, deployments: 1 });
      expect(await account()).toMatchObject({ reserved: 100, spent: 45 });
      await store.cancelBuild('acme', id, call);
      expect(await account()).toMatchObject({ reserved: 0, spent: 45 });
    });

    it('keeps a source that is young', async () => {
      const { store, source, elapse } = current();
      const id = await source();
      await elapse(kept - 10);
      expect(await pruned()).toEqual(nothing);
      expect((await store.getSource('acme', id, call)) !== null).toBe(true);
      await elapse(20);
      expect(await pruned()).toEqual({ ...nothing, sources: 1 });
    });

    it('keeps a source as long as a build refers to it, and removes one that none ever did', async () => {
      const { store, source, queuedBuild, elapse, garbage } = current();
      const [used, unused] = [await source(), await source()];
      const id = await queuedBuild({ sourceId: used });
      await elapse(kept + 10);
      expect(await pruned()).toEqual({ ...nothing, sources: 1 });
      expect(await garbage()).toEqual([`sources/acme/${unused}`]);
      await queuedBuild({ sourceId: used });
      await store.cancelBuild('acme', id, call);
      await elapse(kept + 10);
      expect(await pruned()).toEqual({ ...nothing, builds: 1 });
      const { items } = await store.listBuilds('acme', { limit: 10, cursor: null }, call);
      for (const build of items) await store.cancelBuild('acme', build.id, call);
      await elapse(kept + 10);
      expect(await pruned()).toEqual({ ...nothing, builds: 1, sources: 1 });
      expect(await garbage()).toEqual([`sources/acme/${used}`]);
    });

    it('removes old events of every tenant', async () => {
      const { store, queuedBuild, elapse } = current();
      for (const tenantId of ['acme', 'other', 'acme', 'third']) await queuedBuild({ tenantId });
      await elapse(kept + 10);
      await queuedBuild();
      expect(await store.prune({ ...options, limit: 5 }, call)).toMatchObject({ events: 5 });
      expect(await store.prune({ ...options, limit: 5 }, call)).toMatchObject({ events: 3 });
      const left = await readAll((page) => store.listEvents('acme', page, call), 10);
      expect(left).toHaveLength(2);
    });

    it('removes so many at a time, also when called many times at once', async () => {
      const { store, elapse } = current();
      for (let build = 0; build < 7; build += 1) await endedBuild();
      await elapse(kept + 10);
      expect(await store.prune({ ...options, limit: 3 }, call)).toMatchObject({ builds: 3 });
      await Promise.all(Array.from({ length: 4 }, () => pruned()));
      await pruned();
      const { items } = await store.listBuilds('acme', { limit: 10, cursor: null }, call);
      expect(items).toEqual([]);
    });
  });

  describe('takeGarbage', () => {
    it('gives different keys to those that remove at the same time', async () => {
      const { store, source, elapse } = current();
      const ids = [await source(), await source(), await source()];
      await elapse(kept + 10);
      await pruned();
      const removed: string[] = [];
      const taken = await store.takeGarbage(
        1,
        async (outer) => {
          await store.takeGarbage(
            5,
            async (inner) => {
              removed.push(...inner);
            },
            call,
          );
          removed.push(...outer);
        },
        call,
      );
      expect(taken).toBe(1);
      expect(removed.sort()).toEqual(ids.map((id) => `sources/acme/${id}`).sort());
    });

    it('keeps the keys that could not be removed', async () => {
      const { store, source, elapse, garbage } = current();
      const ids = [await source(), await source(), await source()];
      await elapse(kept + 10);
      await pruned();
      const refusal = new Error('the artifacts are out of reach');
      const failing = store.takeGarbage(10, () => Promise.reject(refusal), call);
      expect(await failing.catch((error: unknown) => error)).toBe(refusal);
      expect(await store.takeGarbage(2, async () => {}, call)).toBe(2);
      expect(await garbage()).toHaveLength(ids.length - 2);
      expect(await garbage()).toEqual([]);
    });
  });
}
