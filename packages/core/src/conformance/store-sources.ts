import { randomUUID } from 'node:crypto';
import { call, type Fixture, idempotencyKey, leaseSeconds } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testSources({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  const git = { url: 'https://git.test/site', ref: 'main', commit: 'c'.repeat(40) };
  const sourceOf = (id: string) => ({
    ...{ id, tenantId: 'acme', key: `acme/sources/${id}`, sizeBytes: 3, sha256: 'b'.repeat(64) },
  });

  describe('a source', () => {
    it('is kept with the commit that it is, which its builds get and its event tells', async () => {
      const { store, newBuild, reservation, dispatchAll } = current();
      const source = sourceOf(randomUUID());
      const { resource: added } = await store.addSource({ ...source, git }, null, call);
      expect(added).toMatchObject({ ...source, git });
      expect(await store.getSource('acme', source.id, call)).toEqual(added);
      const build = await newBuild({ sourceId: source.id });
      await store.acceptBuild(build, reservation(), null, call);
      await dispatchAll();
      const claim = await store.claimBuild(build.id, leaseSeconds, call);
      expect(claim?.source).toEqual(added);
      const { items } = await store.listEvents('acme', { limit: 100, cursor: null }, call);
      const told = items.find(({ type }) => type === 'source.added');
      expect(told?.data).toMatchObject({ commit: git.commit });
    });

    it('that was uploaded is of no repository', async () => {
      const { store } = current();
      const added = await store.addSource(sourceOf(randomUUID()), null, call);
      expect(added).toMatchObject({ resource: { git: null }, replayed: false });
    });

    it('is added once under an idempotency key, also by requests at once', async () => {
      const { store, eventTypes } = current();
      const key = idempotencyKey({ route: 'POST /v1/sources' });
      const added = await Promise.all(
        Array.from({ length: 4 }, () => store.addSource(sourceOf(randomUUID()), key, call)),
      );
      expect(new Set(added.map(({ resource }) => resource.id)).size).toBe(1);
      expect(added.filter(({ replayed }) => !replayed)).toHaveLength(1);
      const other = { ...key, fingerprint: 'another' };
      await expect(store.addSource(sourceOf(randomUUID()), other, call)).rejects.toMatchObject({
        code: 'idempotency_mismatch',
      });
      expect(await eventTypes()).toEqual(['source.added']);
    });
  });
}
