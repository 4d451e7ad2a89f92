import { randomUUID } from 'node:crypto';
import { call, type Fixture, idempotencyKey } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testAcceptance({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  describe('acceptBuild', () => {
    it('makes a queued build with its hold, its event and its message', async () => {
      const { store, newBuild, reservation, messages, account, eventTypes } = current();
      const build = await newBuild();
      const { resource, replayed } = await store.acceptBuild(build, reservation(), null, call);
      expect(replayed).toBe(false);
      expect(resource).toMatchObject({
        ...build,
        state: 'QUEUED',
        attempt: 0,
        estimate: 100,
        cost: null,
        finishedAt: null,
        cache: null,
      });
      expect(await store.getBuild(build.tenantId, build.id, call)).toEqual(resource);
      expect(await messages()).toEqual([{ v: 1, kind: 'build', id: build.id }]);
      expect(await account()).toMatchObject({ reserved: 100, spent: 0 });
      expect([...(await eventTypes())].sort()).toEqual(['build.accepted', 'source.added']);
    });

    it('keeps text that a database might refuse', async () => {
      const { store, newBuild, reservation } = current();
      const buildArguments = { NUL: 'a\0b', EMOJI: '🚀', QUOTE: `'";--` };
      const build = await newBuild({ buildArguments });
      await store.acceptBuild(build, reservation(), null, call);
      expect(await store.getBuild(build.tenantId, build.id, call)).toMatchObject({
        buildArguments,
      });
    });

    it('refuses a source that is missing or of another tenant', async () => {
      const { store, newBuild, queuedBuild, reservation, source, account } = current();
      await queuedBuild();
      for (const sourceId of [randomUUID(), await source('other')]) {
        const build = await newBuild({ sourceId });
        await expect(store.acceptBuild(build, reservation(), null, call)).rejects.toMatchObject({
          code: 'not_found',
        });
      }
      expect(await account()).toMatchObject({ reserved: 100 });
    });

    it('shows a build to its tenant only', async () => {
      const { store, queuedBuild } = current();
      const id = await queuedBuild();
      expect(await store.getBuild('other', id, call)).toBe(null);
      expect(await store.cancelBuild('other', id, call)).toBe(null);
      expect(await store.readLog('other', id, { after: 0, limit: 10 }, call)).toEqual([]);
      expect(await store.getBuild('acme', 'no-id', call)).toBe(null);
    });

    it('accepts one of many at once when the budget covers one', async () => {
      const { store, newBuild, reservation, account } = current();
      const builds = await Promise.all(Array.from({ length: 20 }, () => newBuild()));
      const results = await Promise.allSettled(
        builds.map((build) => store.acceptBuild(build, reservation({ cap: 199 }), null, call)),
      );
      const refused = results.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
      expect(results.length - refused.length).toBe(1);
      expect(refused[0]).toMatchObject({
        code: 'budget_exceeded',
        budget: { currency: 'USD', limit: 199, spent: 0, reserved: 100, estimate: 100 },
      });
      expect(new Set(refused.map(({ code }) => code)).size).toBe(1);
      expect(await account()).toMatchObject({ reserved: 100 });
    });

    it('accepts all of many at once when the budget covers them', async () => {
      const { store, newBuild, reservation, account } = current();
      const builds = await Promise.all(Array.from({ length: 20 }, () => newBuild()));
      await Promise.all(
        builds.map((build) => store.acceptBuild(build, reservation({ cap: 2_000 }), null, call)),
      );
      expect(await account()).toMatchObject({ reserved: 2_000 });
    });
  });

  describe('an idempotency key', () => {
    it('gives the first build again, as it is now', async () => {
      const { store, newBuild, reservation, account } = current();
      const [first, second] = [await newBuild(), await newBuild()];
      await store.acceptBuild(first, reservation(), idempotencyKey(), call);
      await store.cancelBuild(first.tenantId, first.id, call);
      const again = await store.acceptBuild(second, reservation(), idempotencyKey(), call);
      expect(again.replayed).toBe(true);
      expect(again.resource).toMatchObject({ id: first.id, state: 'CANCELLED' });
      expect(await account()).toMatchObject({ reserved: 0 });
    });

    it('gives it again also when the budget is used up or the source is gone', async () => {
      const { store, newBuild, reservation } = current();
      const limited = reservation({ cap: 100 });
      const first = await newBuild();
      await store.acceptBuild(first, limited, idempotencyKey(), call);
      const second = await newBuild({ sourceId: randomUUID() });
      const again = await store.acceptBuild(second, limited, idempotencyKey(), call);
      expect(again).toMatchObject({ replayed: true, resource: { id: first.id } });
    });

    it('makes one build of many requests at once', async () => {
      const { store, newBuild, reservation, account, messages } = current();
      const builds = await Promise.all(Array.from({ length: 10 }, () => newBuild()));
      const results = await Promise.all(
        builds.map((build) => store.acceptBuild(build, reservation(), idempotencyKey(), call)),
      );
      expect(new Set(results.map(({ resource }) => resource.id)).size).toBe(1);
      expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1);
      expect(await account()).toMatchObject({ reserved: 100 });
      expect(await messages()).toHaveLength(1);
    });

    it('refuses another request', async () => {
      const { store, newBuild, reservation } = current();
      await store.acceptBuild(await newBuild(), reservation(), idempotencyKey(), call);
      const other = idempotencyKey({ fingerprint: 'another' });
      await expect(
        store.acceptBuild(await newBuild(), reservation(), other, call),
      ).rejects.toMatchObject({ code: 'idempotency_mismatch' });
    });

    it('belongs to its tenant and its route, and runs out', async () => {
      const { store, newBuild, reservation, elapse } = current();
      const accept = async (tenantId: string, changes = {}) =>
        store.acceptBuild(
          await newBuild({ tenantId }),
          reservation(),
          idempotencyKey(changes),
          call,
        );
      await accept('acme');
      expect((await accept('other')).replayed).toBe(false);
      expect((await accept('acme', { route: 'POST /v1/other' })).replayed).toBe(false);
      await elapse(61);
      expect((await accept('acme', { fingerprint: 'another' })).replayed).toBe(false);
      expect((await accept('acme', { fingerprint: 'another' })).replayed).toBe(true);
    });

    it('is refused, not replayed, where its key has run out and the money is gone', async () => {
      const { store, newBuild, reservation, elapse } = current();
      const poor = reservation({ cap: 150 });
      await store.acceptBuild(await newBuild(), poor, idempotencyKey(), call);
      expect(
        (await store.acceptBuild(await newBuild(), poor, idempotencyKey(), call)).replayed,
      ).toBe(true);
      await elapse(61);
      await expect(
        store.acceptBuild(await newBuild(), poor, idempotencyKey(), call),
      ).rejects.toMatchObject({ code: 'budget_exceeded' });
    });

    it('is not used up by a request that was refused', async () => {
      const { store, newBuild, reservation } = current();
      const build = await newBuild();
      const poor = reservation({ cap: 10 });
      await expect(store.acceptBuild(build, poor, idempotencyKey(), call)).rejects.toMatchObject({
        code: 'budget_exceeded',
      });
      const accepted = await store.acceptBuild(build, reservation(), idempotencyKey(), call);
      expect(accepted.replayed).toBe(false);
    });

    it('is not needed for a retry with the same id', async () => {
      const { store, newBuild, reservation, account } = current();
      const build = await newBuild();
      await store.acceptBuild(build, reservation(), null, call);
      const again = await store.acceptBuild(build, reservation(), null, call);
      expect(again).toMatchObject({ replayed: true, resource: { id: build.id } });
      expect(await account()).toMatchObject({ reserved: 100 });
    });
  });

  describe('a source', () => {
    it('is kept, for its tenant, and can be added again', async () => {
      const { store, source } = current();
      const id = await source();
      const found = await store.getSource('acme', id, call);
      expect(found).toMatchObject({ id, tenantId: 'acme', sizeBytes: 10 });
      expect(await store.getSource('other', id, call)).toBe(null);
      if (!found) return;
      const again = await store.addSource(found, null, call);
      expect(again).toEqual({ resource: found, replayed: true });
      await expect(store.addSource({ ...found, key: 'other' }, null, call)).rejects.toMatchObject({
        code: 'conflict',
      });
    });
  });
}
