import { randomUUID } from 'node:crypto';
import { call, type Fixture, finished, leaseSeconds } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testOrphans({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  describe('findOrphanedRuns', () => {
    /** Whether no claim will go on with the run that this attempt began. */
    async function isOrphaned(buildId: string, attempt: number): Promise<boolean> {
      const orphans = await current().store.findOrphanedRuns([{ buildId, attempt }], call);
      return orphans.length === 1;
    }

    it('names those of builds that are unknown, and no others', async () => {
      const { store, runningBuild } = current();
      const running = await runningBuild();
      const unknown = [randomUUID(), 'no-id-of-ours'].map((buildId) => ({ buildId, attempt: 1 }));
      const known = { buildId: running.id, attempt: running.attempt };
      const orphans = await store.findOrphanedRuns([known, ...unknown], call);
      const idsOf = (runs: readonly { readonly buildId: string }[]) =>
        runs.map(({ buildId }) => buildId).sort();
      expect(idsOf(orphans)).toEqual(idsOf(unknown));
      expect(orphans.map(({ attempt }) => attempt)).toEqual([1, 1]);
      expect(await store.findOrphanedRuns([], call)).toEqual([]);
    });

    it('names none that a claim goes on with, or may', async () => {
      const { store, runningBuild, dispatchAll, elapse } = current();
      const { id } = await runningBuild();
      expect(await isOrphaned(id, 1)).toBe(false);
      await elapse(leaseSeconds + 1);
      expect(await isOrphaned(id, 1)).toBe(false);
      await store.claimBuild(id, leaseSeconds, call);
      expect(await isOrphaned(id, 1)).toBe(false);
      await store.releaseBuild({ id, attempt: 2 }, { countAttempt: false }, call);
      expect(await isOrphaned(id, 1)).toBe(false);
      await dispatchAll();
      await store.claimBuild(id, leaseSeconds, call);
      expect(await isOrphaned(id, 1)).toBe(false);
    });

    it('names one that an attempt given back as counted had, also before the next begins', async () => {
      const { store, runningBuild, dispatchAll } = current();
      const { id, attempt } = await runningBuild();
      await store.releaseBuild({ id, attempt }, { countAttempt: true }, call);
      expect(await isOrphaned(id, 1)).toBe(true);
      await dispatchAll();
      await store.claimBuild(id, leaseSeconds, call);
      expect(await isOrphaned(id, 1)).toBe(true);
      expect(await isOrphaned(id, 2)).toBe(false);
    });

    it('names those of builds that have ended, in whichever way', async () => {
      const { store, runningBuild, elapse } = current();
      const sweep = { queuedSeconds: 60, limit: 100 };
      const ended = await runningBuild();
      await store.finishBuild(ended, finished, call);
      const givenBack = await runningBuild();
      await store.releaseBuild(givenBack, { countAttempt: false }, call);
      await store.cancelBuild('acme', givenBack.id, call);
      expect(await isOrphaned(ended.id, 1)).toBe(true);
      expect(await isOrphaned(givenBack.id, 1)).toBe(true);

      const cancelled = await runningBuild();
      await store.cancelBuild('acme', cancelled.id, call);
      const lost = await runningBuild({ maximumAttempts: 1 });
      await elapse(leaseSeconds + 1);
      for (const { id } of [cancelled, lost]) expect(await isOrphaned(id, 1)).toBe(false);
      await store.sweep(sweep, call);
      for (const { id } of [cancelled, lost]) expect(await isOrphaned(id, 1)).toBe(true);
    });
  });
}
