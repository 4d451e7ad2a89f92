import type { DispatchOptions } from '../contracts/store.ts';
import { call, type Fixture, finished, leaseSeconds } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const roomy: DispatchOptions = { maximumPerTenant: 100, maximumUnclaimed: 100, limit: 100 };

export function testDispatch({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  /** Accepted one after the other, in a backlog of one tenant. */
  async function backlog(tenantId: string, size: number): Promise<readonly string[]> {
    const ids: string[] = [];
    while (ids.length < size) ids.push(await current().queuedBuild({ tenantId }));
    return ids;
  }

  /** The tenants whose builds were let through since the outbox was emptied last, in the order of the messages. */
  async function tenantsServed(): Promise<readonly string[]> {
    const { store } = current();
    const ids: string[] = [];
    await store.takeOutbox(
      100,
      async (messages) => {
        ids.push(...messages.map(({ id }) => id));
      },
      call,
    );
    const tenants: string[] = [];
    for (const id of ids) {
      for (const tenantId of ['acme', 'busy', 'other']) {
        if (await store.getBuild(tenantId, id, call)) tenants.push(tenantId);
      }
    }
    return tenants;
  }

  async function claimed(id: string) {
    const claim = await current().store.claimBuild(id, leaseSeconds, call);
    return { id, attempt: claim?.build.attempt ?? 0 };
  }

  describe('dispatchBuilds', () => {
    it('is what lets a build be claimed', async () => {
      const { store, queuedBuild, messages } = current();
      const id = await queuedBuild();
      expect(await store.takeOutbox(10, async () => {}, call)).toBe(0);
      expect(await store.claimBuild(id, leaseSeconds, call)).toBe(null);
      expect(await store.dispatchBuilds(roomy, call)).toBe(1);
      expect(await store.dispatchBuilds(roomy, call)).toBe(0);
      expect(await messages()).toEqual([{ v: 1, kind: 'build', id }]);
      expect((await store.claimBuild(id, leaseSeconds, call)) !== null).toBe(true);
    });

    it('lets so many of a tenant through, and the next one when one of them has ended', async () => {
      const { store } = current();
      const ids = await backlog('acme', 4);
      const two = { ...roomy, maximumPerTenant: 2 };
      expect(await store.dispatchBuilds(two, call)).toBe(2);
      const fences = [];
      for (const id of ids) fences.push(await claimed(id));
      const running = fences.filter(({ attempt }) => attempt === 1);
      expect(running).toHaveLength(2);
      expect(await store.dispatchBuilds(two, call)).toBe(0);

      const [first, second] = running;
      if (!first || !second) return;
      await store.finishBuild(first, finished, call);
      expect(await store.dispatchBuilds(two, call)).toBe(1);
      await store.releaseBuild(second, { countAttempt: false }, call);
      expect(await store.dispatchBuilds(two, call)).toBe(1);
      expect(await store.dispatchBuilds(two, call)).toBe(0);
    });

    it('makes room when a dispatched build is cancelled, or used up', async () => {
      const { store, elapse } = current();
      const one = { ...roomy, maximumPerTenant: 1 };
      const first = await current().queuedBuild({ maximumAttempts: 1 });
      expect(await store.dispatchBuilds(one, call)).toBe(1);
      await backlog('acme', 2);
      await claimed(first);
      await elapse(leaseSeconds + 1);
      expect(await store.dispatchBuilds(one, call)).toBe(0);
      await store.sweep({ queuedSeconds: 60, limit: 10 }, call);
      expect(await store.dispatchBuilds(one, call)).toBe(1);
      const { items } = await store.listBuilds('acme', { limit: 10, cursor: null }, call);
      for (const { id } of items) await store.cancelBuild('acme', id, call);
      await backlog('acme', 2);
      expect(await store.dispatchBuilds(one, call)).toBe(1);
    });

    it('lets nothing through that is used up', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild({ maximumAttempts: 1 });
      await store.releaseBuild(fence, { countAttempt: true }, call);
      expect(await store.dispatchBuilds(roomy, call)).toBe(0);
    });

    it('lets no message, however late, pass the limit', async () => {
      const { store, runningBuild } = current();
      const fence = await runningBuild();
      await store.releaseBuild(fence, { countAttempt: false }, call);
      expect(await store.claimBuild(fence.id, leaseSeconds, call)).toBe(null);
    });

    it('takes the oldest build of a tenant first, also one that was given back', async () => {
      const { store, elapse, messages } = current();
      const first = await current().queuedBuild();
      await elapse(1);
      const second = await current().queuedBuild();
      const one = { ...roomy, limit: 1 };
      await store.dispatchBuilds(one, call);
      await store.releaseBuild(await claimed(first), { countAttempt: true }, call);
      await store.dispatchBuilds(one, call);
      expect((await store.claimBuild(first, leaseSeconds, call)) !== null).toBe(true);
      expect((await messages()).map(({ id }) => id)).toEqual([first, first, second]);
    });

    it('serves tenants in turn', async () => {
      const { store } = current();
      await backlog('busy', 6);
      await store.dispatchBuilds({ ...roomy, limit: 2 }, call);
      expect(await tenantsServed()).toEqual(['busy', 'busy']);
      await backlog('other', 2);
      await backlog('acme', 1);
      await store.dispatchBuilds({ ...roomy, limit: 1 }, call);
      await store.dispatchBuilds({ ...roomy, limit: 1 }, call);
      expect([...(await tenantsServed())].sort()).toEqual(['acme', 'other']);
      await store.dispatchBuilds({ ...roomy, limit: 3 }, call);
      expect(await tenantsServed()).toEqual(['busy', 'other', 'busy']);
    });

    it('serves tenants in turn however often they were served before', async () => {
      const { store } = current();
      for (const tenantId of ['acme', 'busy']) await backlog(tenantId, 4);
      for (let round = 0; round < 8; round += 1) {
        await store.dispatchBuilds({ ...roomy, limit: 1 }, call);
      }
      const served = await tenantsServed();
      expect(served).toHaveLength(8);
      expect(served.filter((tenantId, index) => tenantId === served[index + 1])).toEqual([]);
    });

    it('makes a single build wait for no more than one of a backlog', async () => {
      const { store } = current();
      const busy = await backlog('busy', 30);
      const one = { maximumPerTenant: 4, maximumUnclaimed: 1, limit: 100 };
      await store.dispatchBuilds(one, call);
      const single = await current().queuedBuild();
      expect(await store.dispatchBuilds(one, call)).toBe(0);
      let claims = 0;
      for (const id of busy) claims += (await claimed(id)).attempt;
      expect(claims).toBe(1);
      expect(await store.dispatchBuilds(one, call)).toBe(1);
      expect((await claimed(single)).attempt).toBe(1);
    });

    it('lets few through at a time, whatever the backlog', async () => {
      const { store } = current();
      for (const tenantId of ['acme', 'busy', 'other']) await backlog(tenantId, 10);
      const few = { ...roomy, maximumUnclaimed: 5 };
      expect(await store.dispatchBuilds(few, call)).toBe(5);
      expect(await store.dispatchBuilds(few, call)).toBe(0);
      expect([...(await tenantsServed())].sort()).toEqual([
        'acme',
        'acme',
        'busy',
        'busy',
        'other',
      ]);
    });

    it('lets no more through when it is called many times at once', async () => {
      const { store } = current();
      await backlog('acme', 20);
      await backlog('busy', 20);
      const limits = { maximumPerTenant: 3, maximumUnclaimed: 5, limit: 100 };
      const counts = await Promise.all(
        Array.from({ length: 8 }, () => store.dispatchBuilds(limits, call)),
      );
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
      expect(await tenantsServed()).toHaveLength(5);
    });
  });
}
