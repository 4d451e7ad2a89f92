import {
  type ArtifactStore,
  CygniError,
  createMemoryArtifactStore,
  createMemoryStore,
  isCygniError,
  isTerminalBuildState,
} from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

const dayMs = 86_400_000;

async function keysOf(artifacts: ArtifactStore): Promise<string[]> {
  const found = await Array.fromAsync(artifacts.list('', testCall()));
  return found.map(({ key }) => key);
}

async function ended(test: TestPlatform, id: string): Promise<void> {
  await test.until(async () => {
    const { state } = await test.platform.builds.get('acme', id, testCall());
    return isTerminalBuildState(state) || undefined;
  });
}

async function gone(test: TestPlatform, id: string): Promise<void> {
  await test.until(async () => {
    try {
      await test.platform.builds.get('acme', id, testCall());
      return undefined;
    } catch (error) {
      if (isCygniError(error, 'not_found')) return true;
      throw error;
    }
  });
}

describe('retention', () => {
  it('removes a build and its artifacts once it has been kept long enough', async () => {
    let ahead = 0;
    const store = createMemoryStore({ now: () => new Date(Date.now() + ahead) });
    const settings = { pruneIntervalSeconds: 0.1 };
    await using test = await startPlatform({ store, settings });
    const id = await test.build('acme');
    await ended(test, id);
    expect((await keysOf(test.artifacts)).length).toBeGreaterThan(0);
    ahead = 91 * dayMs;
    await gone(test, id);
    await test.until(async () => (await keysOf(test.artifacts)).length === 0 || undefined);
  });

  it('deletes artifacts in the end that could not be deleted at once', async () => {
    let ahead = 0;
    let refused = 0;
    const memory = createMemoryArtifactStore();
    const artifacts: ArtifactStore = {
      ...memory,
      async delete(key, call) {
        if (refused < 2) {
          refused += 1;
          throw new CygniError('unavailable', 'the artifacts are out of reach');
        }
        await memory.delete(key, call);
      },
    };
    const store = createMemoryStore({ now: () => new Date(Date.now() + ahead) });
    const settings = { pruneIntervalSeconds: 0.1 };
    await using test = await startPlatform({ store, artifacts, settings });
    const id = await test.build('acme');
    await ended(test, id);
    ahead = 91 * dayMs;
    await gone(test, id);
    await test.until(async () => (await keysOf(artifacts)).length === 0 || undefined);
    expect(refused).toBe(2);
  });
});
