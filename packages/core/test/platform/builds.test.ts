import {
  type Build,
  type BuildJob,
  CygniError,
  createMeteredBudget,
  isCygniError,
  isTerminalBuildState,
  type Logger,
  type Registry,
} from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { followLines } from '../fixtures/follow-lines.ts';
import { createScriptedPipeline, untilCancelled } from '../fixtures/scripted-pipeline.ts';
import {
  createScriptedRegistry,
  knownDigest,
  registryPassword,
  unknownDigest,
} from '../fixtures/scripted-registry.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

const tenant = 'acme';

function ended(test: TestPlatform, id: string): Promise<Build> {
  return test.until(async () => {
    const build = await test.platform.builds.get(tenant, id, testCall());
    return isTerminalBuildState(build.state) ? build : undefined;
  });
}

async function logOf(test: TestPlatform, id: string): Promise<string[]> {
  const lines = await Array.fromAsync(followLines(test, tenant, id));
  return lines.map(({ text }) => text);
}

describe('a build', () => {
  it('goes from accepted to succeeded, with the digest that the registry confirmed, and is charged', async () => {
    await using test = await startPlatform();
    const build = await ended(test, await test.build(tenant));
    expect(build).toMatchObject({
      state: 'SUCCEEDED',
      attempt: 1,
      image: { repository: 'acme/hello', digest: knownDigest, sizeBytes: 1_000 },
      failure: null,
    });
    const account = await test.platform.budgets.get(tenant, testCall());
    expect(account).toMatchObject({ reserved: 0, spent: build.cost });
    expect(build.cost).toBeGreaterThan(0);
  });

  it('streams its log while it runs, and to its end', async () => {
    const release = Promise.withResolvers<void>();
    const pipeline = createScriptedPipeline(async (_job, run) => {
      run.print('first');
      await release.promise;
      run.print('last');
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    await using test = await startPlatform({ pipeline });
    const id = await test.build(tenant);
    const seen: string[] = [];
    for await (const { text } of followLines(test, tenant, id)) {
      seen.push(text);
      if (text === 'first') release.resolve();
    }
    expect(seen).toEqual(['first', 'last']);
  });

  it('keeps the registry credentials out of its log', async () => {
    const pipeline = createScriptedPipeline(async (job, run) => {
      run.print(`pushing with ${job.destination.credentials?.password}`);
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    await using test = await startPlatform({ pipeline });
    const log = await logOf(test, await test.build(tenant));
    expect(log).toEqual(['pushing with [redacted]']);
    expect(log.join()).not.toContain(registryPassword);
  });

  it('has its log cut off with a mark at the cap', async () => {
    const pipeline = createScriptedPipeline(async (_job, run) => {
      for (let line = 0; line < 100; line += 1) run.print('0123456789');
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    await using test = await startPlatform({ pipeline, settings: { maximumLogBytes: 35 } });
    const log = await logOf(test, await test.build(tenant));
    expect(log).toEqual([...Array(3).fill('0123456789'), '[log cut off: over 35 bytes]']);
  });

  it('that fails by its own fault is FAILED at once, and paid for', async () => {
    const pipeline = createScriptedPipeline(async () => ({
      status: 'failed',
      reason: 'user_error',
      message: 'line 3: unknown instruction',
    }));
    await using test = await startPlatform({ pipeline });
    const build = await ended(test, await test.build(tenant));
    expect(build).toMatchObject({
      state: 'FAILED',
      attempt: 1,
      failure: {
        reason: 'user_error',
        message: 'line 3: unknown instruction',
        platformFault: false,
      },
    });
  });

  it('that fails by the platform’s fault is tried again up to the maximum, and is free', async () => {
    let tries = 0;
    const pipeline = createScriptedPipeline(async () => {
      tries += 1;
      return { status: 'failed', reason: 'registry_unavailable', message: 'no route' };
    });
    await using test = await startPlatform({ pipeline, settings: { maximumAttempts: 3 } });
    const build = await ended(test, await test.build(tenant));
    expect(tries).toBe(3);
    expect(build).toMatchObject({ state: 'FAILED', cost: 0, failure: { platformFault: true } });
  });

  it('gets its tags once its digest is confirmed, and none if it fails', async () => {
    const tagged: string[] = [];
    const registry: Registry = {
      ...createScriptedRegistry(),
      async tag(repository, digest, tag) {
        tagged.push(`${repository}:${tag}@${digest}`);
      },
    };
    const pipeline = createScriptedPipeline(async ({ target }) =>
      target === 'sick'
        ? { status: 'failed', reason: 'user_error', message: 'no' }
        : { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null },
    );
    await using test = await startPlatform({ pipeline, registry });
    await ended(test, await test.build(tenant, { tags: ['bad'], target: 'sick' }));
    await ended(test, await test.build(tenant, { tags: ['1', 'latest'] }));
    expect(tagged).toEqual([`acme/hello:1@${knownDigest}`, `acme/hello:latest@${knownDigest}`]);
  });

  it('whose tag is taken where tags cannot be moved fails, and says which', async () => {
    const registry: Registry = {
      ...createScriptedRegistry(),
      async tag() {
        throw new CygniError('conflict', 'immutable');
      },
    };
    await using test = await startPlatform({ registry });
    const build = await ended(test, await test.build(tenant, { tags: ['v1'] }));
    expect(build).toMatchObject({
      state: 'FAILED',
      attempt: 1,
      failure: { reason: 'user_error', message: expect.stringContaining('the tag v1 of hello') },
    });
  });

  it('whose digest the registry does not know does not succeed', async () => {
    const pipeline = createScriptedPipeline(async () => ({
      status: 'succeeded',
      digest: unknownDigest,
      sizeBytes: 1,
      cache: null,
    }));
    await using test = await startPlatform({ pipeline, settings: { maximumAttempts: 1 } });
    const build = await ended(test, await test.build(tenant));
    expect(build).toMatchObject({ state: 'FAILED', failure: { reason: 'platform_error' } });
  });

  it('ends as CANCELLED when a user cancels it while it runs', async () => {
    const pipeline = createScriptedPipeline((_job, run) => untilCancelled(run));
    await using test = await startPlatform({ pipeline, settings: { leaseSeconds: 1 } });
    const id = await test.build(tenant);
    await test.until(async () => {
      const { state } = await test.platform.builds.get(tenant, id, testCall());
      return state === 'RUNNING' || undefined;
    });
    await test.platform.builds.cancel(tenant, id, testCall());
    expect((await ended(test, id)).state).toBe('CANCELLED');
  });

  it('is given back on shutdown, without using up an attempt', async () => {
    const started = Promise.withResolvers<void>();
    const pipeline = createScriptedPipeline((_job, run) => {
      started.resolve();
      return untilCancelled(run);
    });
    const test = await startPlatform({ pipeline });
    const id = await test.build(tenant);
    await started.promise;
    await test.platform.stop();
    expect(await test.store.getBuild(tenant, id, testCall())).toMatchObject({ state: 'QUEUED' });
    await test[Symbol.asyncDispose]();
  });

  it('goes on in another process, where the builder outlives the one that started it', async () => {
    const jobs: BuildJob[] = [];
    const release = Promise.withResolvers<void>();
    const pipeline = createScriptedPipeline(
      async (job, run) => {
        jobs.push(job);
        run.print('first');
        await release.promise;
        run.print('last');
        return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
      },
      { adopt: true },
    );
    await using first = await startPlatform({ pipeline });
    const { store, artifacts } = first;
    const id = await first.build(tenant);
    await first.until(async () => {
      const lines = await store.readLog(tenant, id, { after: 0, limit: 1 }, testCall());
      return lines.length > 0 || undefined;
    });
    await first.platform.stop();
    await using second = await startPlatform({ pipeline, store, artifacts });
    await second.until(async () => {
      const { attempt } = await second.platform.builds.get(tenant, id, testCall());
      return attempt === 2 || undefined;
    });
    release.resolve();
    expect(await ended(second, id)).toMatchObject({ state: 'SUCCEEDED', attempt: 2 });
    expect(jobs.map(({ attempt }) => attempt)).toEqual([1]);
    expect(await logOf(second, id)).toEqual(['first', 'last']);
  });

  it('is refused with the figures when its worst case does not fit the budget', async () => {
    await using test = await startPlatform({ budget: createMeteredBudget({ cap: 10 }) });
    await expect(test.build(tenant)).rejects.toSatisfy(
      (error) =>
        isCygniError(error, 'budget_exceeded') &&
        error.budget?.limit === 10 &&
        error.budget.spent === 0 &&
        error.budget.estimate > 10,
    );
  });

  it('leaves no trace of credentials in the server’s own log', async () => {
    const written: string[] = [];
    const keep = (fields: object, message?: string) => {
      written.push(JSON.stringify(fields), message ?? '');
    };
    const log: Logger = { debug: keep, info: keep, warn: keep, error: keep };
    const pipeline = createScriptedPipeline(async () => {
      throw new Error('the engine died');
    });
    await using test = await startPlatform({ pipeline, log, settings: { maximumAttempts: 1 } });
    await ended(test, await test.build(tenant));
    expect(written.length).toBeGreaterThan(0);
    expect(written.join('\n')).not.toContain(registryPassword);
  });
});
