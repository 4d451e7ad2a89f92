import type { Page, PageRequest } from '../model/page.ts';
import { call, type Fixture, readAll } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testLists({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  const key = { tenantId: 'acme', service: 'site' };
  const byService = { service: 'site' };
  const everyList: Readonly<Record<string, (page: PageRequest) => Promise<Page<unknown>>>> = {
    listBuilds: (page) => current().store.listBuilds('acme', page, call),
    listDeployments: (page) =>
      current().store.listDeployments('acme', { service: null }, page, call),
    'listDeployments of a service': (page) =>
      current().store.listDeployments('acme', byService, page, call),
    listServices: (page) => current().store.listServices('acme', page, call),
    listRevisions: (page) => current().store.listRevisions(key, page, call),
    listSettledServices: (page) => current().store.listSettledServices(page, call),
    listEvents: (page) => current().store.listEvents('acme', page, call),
  };

  describe('a list', () => {
    for (const [name, list] of Object.entries(everyList)) {
      it(`${name} gives the same in pages of any size`, async () => {
        const { queuedBuild, deployed } = current();
        for (let round = 0; round < 5; round += 1) {
          await queuedBuild();
          await deployed();
          await deployed({ service: `service-${round}` });
        }
        await queuedBuild({ tenantId: 'other' });
        const all = await readAll(list, 100);
        for (const size of [1, 2, 5]) expect(await readAll(list, size)).toEqual(all);
        expect(new Set(all.map((item) => JSON.stringify(item))).size).toBe(all.length);
      });

      it(`${name} refuses a cursor that it did not give out`, async () => {
        const forged = [
          'no-cursor',
          '%',
          '',
          Buffer.from('["2026-01-01T00:00:00.000Z"]').toString('base64url'),
          Buffer.from('["infinity","x"]').toString('base64url'),
          Buffer.from('{"__proto__":1}').toString('base64url'),
        ];
        for (const cursor of forged) {
          await expect(list({ limit: 10, cursor })).rejects.toMatchObject({
            code: 'invalid_input',
            issues: [{ pointer: '/cursor' }],
          });
        }
      });
    }

    it('is newest first', async () => {
      const { store, queuedBuild, deployed } = current();
      await queuedBuild();
      await deployed();
      await deployed();
      const revisions = await store.listRevisions(key, { limit: 10, cursor: null }, call);
      expect(revisions.items.map(({ number }) => number)).toEqual([2, 1]);
      for (const list of [everyList.listBuilds, everyList.listEvents]) {
        const items = (await list?.({ limit: 100, cursor: null }))?.items ?? [];
        const times = items.map((item) => (item as { createdAt: string }).createdAt);
        expect(times).toEqual([...times].sort().reverse());
      }
    });

    it('neither skips nor repeats while rows are added', async () => {
      const { store, queuedBuild } = current();
      const before = await Promise.all(Array.from({ length: 20 }, () => queuedBuild()));
      const seen = await readAll(async (page) => {
        await queuedBuild();
        return store.listBuilds('acme', page, call);
      }, 3);
      const ids = seen.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(before.filter((id) => !ids.includes(id))).toEqual([]);
    });

    it('ends where there is no more', async () => {
      const { store, queuedBuild } = current();
      const empty = await store.listBuilds('acme', { limit: 2, cursor: null }, call);
      expect(empty).toEqual({ items: [], nextCursor: null });
      await queuedBuild();
      await queuedBuild();
      const full = await store.listBuilds('acme', { limit: 2, cursor: null }, call);
      expect(full.items).toHaveLength(2);
      expect(full.nextCursor).toBe(null);
    });
  });
}
