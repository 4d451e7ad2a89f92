import { createMemoryStore, isTerminalBuildState, type Store } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { createScriptedPipeline } from '../fixtures/scripted-pipeline.ts';
import { knownDigest } from '../fixtures/scripted-registry.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

async function allEnded(test: TestPlatform, tenantId: string): Promise<void> {
  await test.until(async () => {
    const page = { limit: 100, cursor: null };
    const { items } = await test.platform.builds.list(tenantId, page, testCall());
    return items.every(({ state }) => isTerminalBuildState(state)) || undefined;
  });
}

describe('a platform under load', () => {
  it('runs so many builds of a tenant at once, and all of them in the end', async () => {
    let running = 0;
    let most = 0;
    const pipeline = createScriptedPipeline(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    const settings = { maximumRunningBuildsPerTenant: 2, buildConcurrency: 10 };
    await using test = await startPlatform({ pipeline, settings });
    await Promise.all(Array.from({ length: 20 }, () => test.build('acme')));
    await allEnded(test, 'acme');
    expect(most).toBe(2);
  });

  it('starts a single build before the rest of another tenant’s backlog', async () => {
    const order: string[] = [];
    const first = Promise.withResolvers<void>();
    const pipeline = createScriptedPipeline(async (job) => {
      order.push(job.tenantId);
      if (order.length === 1) await first.promise;
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    const settings = { maximumDispatchedBuilds: 1, buildConcurrency: 1 };
    await using test = await startPlatform({ pipeline, settings });
    for (let build = 0; build < 10; build += 1) await test.build('busy');
    await test.until(async () => order.length === 1 || undefined);
    await test.build('acme');
    first.resolve();
    await allEnded(test, 'busy');
    // One runs and one lies in the queue when it is accepted.
    expect(order.indexOf('acme')).toBeLessThanOrEqual(2);
    expect(order).toHaveLength(11);
  });

  it('relays at once what is accepted while the relay looks', async () => {
    const memory = createMemoryStore();
    const looking = Promise.withResolvers<void>();
    const accepted = Promise.withResolvers<void>();
    const store: Store = {
      ...memory,
      async takeOutbox(limit, deliver, call) {
        const moved = await memory.takeOutbox(limit, deliver, call);
        looking.resolve();
        await accepted.promise;
        return moved;
      },
    };
    await using test = await startPlatform({ store, settings: { relayIntervalMs: 60_000 } });
    await looking.promise;
    await test.build('acme');
    accepted.resolve();
    await allEnded(test, 'acme');
  });
});
