import { randomUUID } from 'node:crypto';
import { call, type Fixture, leaseSeconds } from './store-fixture.ts';
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
      const added = await store.addSource({ ...source, git }, call);
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
      expect(await store.addSource(sourceOf(randomUUID()), call)).toMatchObject({ git: null });
    });
  });
}
