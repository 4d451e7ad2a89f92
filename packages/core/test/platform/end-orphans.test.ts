import { randomUUID } from 'node:crypto';
import {
  type Build,
  type BuildPipeline,
  createMemoryStore,
  isTerminalBuildState,
  type RunName,
  type Store,
} from '@cygni/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { createScriptedPipeline, untilCancelled } from '../fixtures/scripted-pipeline.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

const tenant = 'acme';
const limit = {
  cap: null,
  periodStart: '2026-01-01T00:00:00.000Z',
  periodEnd: '2026-02-01T00:00:00.000Z',
};

/** A builder whose runs go on until they are ended, and tell of that. */
function endless() {
  const begun = new Map<string, AbortSignal>();
  const pipeline = createScriptedPipeline(
    async ({ buildId, attempt }, run) => {
      begun.set(`${buildId}/${attempt}`, run.cancelled);
      return untilCancelled(run);
    },
    { adopt: true },
  );
  return { pipeline, begun };
}

/** A worker that begins a run and is never heard of again. */
async function beginAndDie(test: TestPlatform, store: Store, pipeline: BuildPipeline) {
  const id = await test.build(tenant);
  await store.dispatchBuilds({ maximumPerTenant: 9, maximumUnclaimed: 9, limit: 9 }, testCall());
  const claim = await store.claimBuild(id, 3, testCall());
  if (!claim) throw new Error('the build cannot be claimed');
  const run = { buildId: id, attempt: claim.run.attempt };
  await pipeline.start(
    {
      ...run,
      tenantId: tenant,
      source: {
        sizeBytes: 1,
        sha256: '',
        open: () => Promise.reject(new Error('not read')),
        presign: () => Promise.reject(new Error('not read')),
      },
      dockerfile: 'Dockerfile',
      target: null,
      buildArguments: {},
      machine: 'small',
      timeoutSeconds: 60,
      destination: { host: 'registry.test', insecure: false, repository: 'acme/hello' },
    },
    testCall(),
  );
  return id;
}

function ended(test: TestPlatform, id: string): Promise<Build> {
  return test.until(async () => {
    const build = await test.platform.builds.get(tenant, id, testCall());
    return isTerminalBuildState(build.state) ? build : undefined;
  });
}

/** No worker takes builds by itself: a dead one's stay alone. */
const alone = { settings: { relayIntervalMs: 60_000, queuedSeconds: 86_400 } };

describe('a run whose worker has died', () => {
  it('ends soon after a user has cancelled its build', async () => {
    let ahead = 0;
    const store = createMemoryStore({ now: () => new Date(Date.now() + ahead) });
    const { pipeline, begun } = endless();
    await using test = await startPlatform({ store, pipeline, ...alone });
    const id = await beginAndDie(test, store, pipeline);
    await test.platform.builds.cancel(tenant, id, testCall());
    ahead = 4_000;
    expect(await ended(test, id)).toMatchObject({ state: 'CANCELLED' });
    await test.until(async () => begun.get(`${id}/1`)?.aborted || undefined);
    await test.until(
      async () => (await pipeline.listRuns?.(testCall()))?.length === 0 || undefined,
    );
  });

  it('ends though it is unknown whose it was, and though another cannot be ended', async () => {
    const { pipeline } = endless();
    const stuck = { buildId: randomUUID(), attempt: 1 };
    const unknown = { buildId: randomUUID(), attempt: 7 };
    const removed: RunName[] = [];
    await using test = await startPlatform({
      pipeline: {
        ...pipeline,
        listRuns: async () => [stuck, unknown],
        async endRun(run) {
          if (run.buildId === stuck.buildId) throw new Error('the cluster refuses');
          removed.push(run);
        },
      },
    });
    await test.until(async () => removed[0]);
    expect(removed[0]).toEqual(unknown);
  });

  it('goes on while another worker may take it over, and when one does as it is being listed', async () => {
    let ahead = 0;
    const store = createMemoryStore({ now: () => new Date(Date.now() + ahead) });
    const { pipeline, begun } = endless();
    let rounds = 0;
    let id = '';
    await using test = await startPlatform({
      store,
      pipeline: {
        ...pipeline,
        async listRuns(call) {
          const runs = (await pipeline.listRuns?.(call)) ?? [];
          rounds += 1;
          // After the listing, before the question: the lease has run out, and another claims.
          if (id !== '') {
            ahead += 4_000;
            await store.claimBuild(id, 3, call);
          }
          return runs;
        },
      },
      settings: { ...alone.settings, maximumAttempts: 10 },
    });
    id = await beginAndDie(test, store, pipeline);
    const from = rounds;
    await test.until(async () => rounds >= from + 6 || undefined);
    expect(begun.get(`${id}/1`)?.aborted).toBe(false);
  });
});

describe('whether a run is orphaned', () => {
  const actions = ['claim', 'lapse', 'give back', 'fail', 'finish', 'cancel', 'sweep'] as const;

  it('is true for ever once it is, and never of a run that a claim goes on with', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...actions), { maxLength: 25 }), async (steps) => {
        let now = 0;
        const store = createMemoryStore({ now: () => new Date(now) });
        const call = testCall();
        const [id, sourceId] = [randomUUID(), randomUUID()];
        const source = { id: sourceId, tenantId: tenant, key: 'k', sizeBytes: 1, sha256: 's' };
        await store.addSource(source, null, call);
        const build = {
          ...{ id, tenantId: tenant, sourceId, repository: 'site', tags: [], target: null },
          ...{ dockerfile: 'Dockerfile', buildArguments: {}, machine: 'small' as const },
          ...{ timeoutSeconds: 60, maximumAttempts: 4 },
        };
        await store.acceptBuild(build, { amount: 1, currency: 'USD', limit }, null, call);
        const begun = new Map<number, RunName>();
        const orphaned = new Set<number>();
        let attempt = 0;
        for (const step of steps) {
          const fence = { id, attempt };
          if (step === 'claim') {
            const everything = { maximumPerTenant: 9, maximumUnclaimed: 9, limit: 9 };
            await store.dispatchBuilds(everything, call);
            const claim = await store.claimBuild(id, 30, call);
            if (claim) {
              attempt = claim.build.attempt;
              const { attempt: run } = claim.run;
              expect(orphaned.has(run)).toBe(false);
              begun.set(run, { buildId: id, attempt: run });
              expect(await store.findOrphanedRuns([{ buildId: id, attempt: run }], call)).toEqual(
                [],
              );
            }
          }
          if (step === 'lapse') now += 31_000;
          if (step === 'give back') await store.releaseBuild(fence, { countAttempt: false }, call);
          if (step === 'fail') await store.releaseBuild(fence, { countAttempt: true }, call);
          if (step === 'cancel') await store.cancelBuild(tenant, id, call);
          if (step === 'sweep') await store.sweep({ queuedSeconds: 1, limit: 9 }, call);
          if (step === 'finish') {
            const end = { state: 'CANCELLED', image: null, failure: null, charge: 0 } as const;
            await store.finishBuild(fence, end, call);
          }
          const orphans = await store.findOrphanedRuns([...begun.values()], call);
          const names = new Set(orphans.map((run) => run.attempt));
          for (const known of orphaned) expect(names.has(known)).toBe(true);
          for (const name of names) orphaned.add(name);
        }
      }),
      { numRuns: 300 },
    );
  });
});
