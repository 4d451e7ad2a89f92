import { CygniError, type Registry } from '@cygni/core';
import { createOciRegistry } from '@cygni/registry-oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createBuilder, finished, type TestBuilder } from './support/builder.ts';
import { serveImages } from './support/serve-images.ts';

let builder: TestBuilder;
beforeAll(async () => {
  builder = await createBuilder();
});
afterAll(() => builder?.[Symbol.asyncDispose]());

const isCache = (repository: string | null) => repository?.endsWith('/cygni-cache') ?? false;

/** Builds on a registry that refuses these actions on the repository of the layer cache. */
async function buildWithout(refused: readonly string[], changes: Partial<Registry> = {}) {
  await using images = await serveImages(async ({ repository, action }) =>
    isCache(repository) && refused.includes(action) ? 'forbidden' : 'allow',
  );
  const { host } = images;
  await using registry = createOciRegistry({ host, insecure: true });
  await using pipeline = builder.open({ registry: { ...registry, ...changes } });
  await pipeline.open(call());
  const job = await builder.job({
    files: { Dockerfile: 'FROM busybox:1\nRUN echo built > /built\n' },
    destination: { host, insecure: true, repository: `${builder.namespace.name}/app` },
  });
  const { outcome, lines } = await finished(await pipeline.start(job, call()));
  return { outcome, log: lines.join('\n') };
}

describe('a build without its layer cache', () => {
  it('has one that is not degraded where nothing is refused', async () => {
    const { outcome } = await buildWithout([]);
    expect(outcome).toMatchObject({
      status: 'succeeded',
      cache: { hits: 0, misses: 1, degraded: false },
    });
  });

  it('succeeds, and says so, where the registry refuses to store a layer', async () => {
    const { outcome, log } = await buildWithout(['push']);
    expect(outcome, log).toMatchObject({
      status: 'succeeded',
      cache: { hits: 0, misses: 1, degraded: true },
    });
  });

  it('succeeds, and says so, where the registry shows it nothing of the cache either', async () => {
    const { outcome, log } = await buildWithout(['pull', 'push', 'delete']);
    expect(outcome, log).toMatchObject({
      status: 'succeeded',
      cache: { hits: 0, misses: 1, degraded: true },
    });
  });

  it('succeeds, and says so, where the repository of the cache cannot be made', async () => {
    const { outcome, log } = await buildWithout([], {
      async ensureRepository(repository) {
        if (isCache(repository)) throw new CygniError('forbidden', 'no more repositories');
      },
    });
    expect(outcome).toMatchObject({
      status: 'succeeded',
      cache: { hits: 0, misses: 0, degraded: true },
    });
    expect(log).not.toContain('to cache now');
  });
});
