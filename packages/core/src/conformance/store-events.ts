import { call, type Fixture, finished, leaseSeconds, limit, succeeded } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testEvents({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  /** What a step records, as `type subject data`, in no order: steps may be of the same millisecond. */
  async function recordedBy(step: () => Promise<unknown>): Promise<readonly string[]> {
    const all = async () => {
      const { items } = await current().store.listEvents(
        'acme',
        { limit: 1_000, cursor: null },
        call,
      );
      return items;
    };
    const before = new Set((await all()).map(({ id }) => id));
    await step();
    return (await all())
      .filter(({ id }) => !before.has(id))
      .map(({ type, subject, data }) => `${type} ${subject} ${JSON.stringify(data)}`)
      .sort();
  }

  describe('an event', () => {
    it('tells of each step in the life of a build', async () => {
      const { store, source, newBuild, reservation, dispatchAll } = current();
      let sourceId = '';
      const sha256 = 'b'.repeat(64);
      expect(
        await recordedBy(async () => {
          sourceId = await source();
        }),
      ).toEqual([`source.added ${sourceId} {"sizeBytes":10,"sha256":"${sha256}"}`]);
      const found = await store.getSource('acme', sourceId, call);
      expect(await recordedBy(async () => found && store.addSource(found, null, call))).toEqual([]);

      const build = await newBuild({ sourceId });
      const { id } = build;
      expect(await recordedBy(() => store.acceptBuild(build, reservation(), null, call))).toEqual([
        `build.accepted ${id} {"sourceId":"${sourceId}","repository":"site","machine":"small","estimate":100}`,
      ]);
      await dispatchAll();
      expect(await recordedBy(() => store.claimBuild(id, leaseSeconds, call))).toEqual([
        `build.started ${id} {"attempt":1}`,
      ]);
      const fence = { id, attempt: 1 };
      expect(await recordedBy(() => store.heartbeatBuild(fence, leaseSeconds, call))).toEqual([]);
      expect(
        await recordedBy(() => store.releaseBuild(fence, { countAttempt: true }, call)),
      ).toEqual([`build.released ${id} {"attempt":1,"counted":true}`]);
      expect(
        await recordedBy(() => store.releaseBuild(fence, { countAttempt: true }, call)),
      ).toEqual([]);
      await dispatchAll();
      await store.claimBuild(id, leaseSeconds, call);
      expect(await recordedBy(() => store.cancelBuild('acme', id, call))).toEqual([
        `build.cancel_requested ${id} {}`,
      ]);
      const end = { ...finished, state: 'CANCELLED', image: null, charge: 7 } as const;
      expect(await recordedBy(() => store.finishBuild({ id, attempt: 2 }, end, call))).toEqual([
        `build.finished ${id} {"state":"CANCELLED","cost":7,"reason":null}`,
      ]);
    });

    it('tells of each step in the life of a deployment, and of what it does to its service', async () => {
      const { store, newDeployment, reservation, deployed } = current();
      const first = newDeployment();
      const reserved = reservation({ amount: 10 });
      expect(await recordedBy(() => store.acceptDeployment(first, reserved, null, call))).toEqual([
        `deployment.accepted ${first.id} {"service":"site","revision":1,"kind":"deploy","estimate":10}`,
        'service.created site {}',
      ]);
      expect(await recordedBy(() => store.claimDeployment(first.id, leaseSeconds, call))).toEqual([
        `deployment.started ${first.id} {"attempt":1}`,
      ]);
      const fence = { id: first.id, attempt: 1 };
      expect(await recordedBy(() => store.advanceDeployment(fence, 'BAKING', call))).toEqual([
        `deployment.advanced ${first.id} {"phase":"BAKING","attempt":1}`,
      ]);
      expect(
        await recordedBy(() => store.releaseDeployment(fence, { countAttempt: false }, call)),
      ).toEqual([`deployment.released ${first.id} {"attempt":1,"counted":false}`]);
      expect(await recordedBy(() => store.advanceDeployment(fence, 'DONE', call))).toEqual([]);
      await store.claimDeployment(first.id, leaseSeconds, call);
      const again = { id: first.id, attempt: 2 };
      expect(await recordedBy(() => store.finishDeployment(again, succeeded, call))).toEqual([
        `deployment.finished ${first.id} {"state":"SUCCEEDED","cost":5,"reason":null}`,
        'service.stable_changed site {"stableRevision":1,"previousRevision":null}',
        'service.url_changed site {"url":"http://site.test"}',
      ]);
      const second = await recordedBy(() => deployed());
      expect(second.filter((each) => each.startsWith('service.'))).toEqual([
        'service.stable_changed site {"stableRevision":2,"previousRevision":1}',
      ]);
    });

    it('tells of a service that moves, once', async () => {
      const { store, deployed } = current();
      await deployed();
      const key = { tenantId: 'acme', service: 'site' };
      const move = () => store.setServiceUrl(key, 'http://moved.test', call);
      expect(await recordedBy(move)).toEqual([
        'service.url_changed site {"url":"http://moved.test"}',
      ]);
      expect(await recordedBy(move)).toEqual([]);
    });

    it('tells of a budget that is set', async () => {
      const { store } = current();
      expect(
        await recordedBy(() => store.setBudget('acme', 'USD', limit, { cap: 5 }, call)),
      ).toEqual(['budget.changed acme {"currency":"USD","limit":5}']);
    });
  });
}
