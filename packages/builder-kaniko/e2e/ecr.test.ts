import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EcrBackend,
  type EcrFake,
  startEcrBackend,
  startEcrFake,
} from '../../registry-ecr/test/support/ecr-fake/start-ecr-fake.ts';
import { registryOn } from '../../registry-ecr/test/support/registry.ts';
import { call, createBuilder, finished } from './support/builder.ts';
import { cluster } from './support/namespace.ts';
import { registryProxyImage } from './support/registry-proxy-image.ts';

const Dockerfile = ['FROM busybox:1', 'RUN echo cached > /cached', 'RUN cat /cached'].join('\n');

/** A fake of ECR, over moto and our own registry, stands for AWS; the cluster and kaniko are real. */
describe('kaniko and the fake of ECR', () => {
  let backend: EcrBackend;
  let fake: EcrFake;
  beforeAll(async () => {
    backend = await startEcrBackend();
    fake = await startEcrFake(backend, { address: cluster.nodeAddress });
  });
  afterAll(async () => {
    await fake?.[Symbol.asyncDispose]();
    await backend?.[Symbol.asyncDispose]();
  });

  it('pushes, caches and gets a tag that is immutable', async () => {
    await using builder = await createBuilder();
    await using on = registryOn(fake, { repositories: { tags: 'immutable' } });
    const { registry } = on;
    await using pipeline = builder.open({
      registry,
      registryProxy: { image: await registryProxyImage() },
    });
    await pipeline.open(call());
    const repository = `${builder.namespace.name}/app`;
    // As the platform does before a build.
    await registry.ensureRepository(repository, call());
    const destination = { host: fake.host, insecure: true, repository };
    const job = await builder.job({ files: { Dockerfile }, destination });
    const { outcome, lines } = await finished(await pipeline.start(job, call()));
    expect(outcome, lines.slice(-5).join('\n')).toMatchObject({
      status: 'succeeded',
      cache: { degraded: false },
    });
    const digest = outcome.status === 'succeeded' ? outcome.digest : '';
    await registry.tag(repository, digest, 'v1', call());
    expect(await registry.resolve(repository, 'v1', call())).toMatchObject({ digest });

    const again = await builder.job({ files: { Dockerfile }, destination });
    expect((await finished(await pipeline.start(again, call()))).outcome).toMatchObject({
      status: 'succeeded',
      cache: { hits: 2, misses: 0, degraded: false },
    });
  });

  it('pushes with the next token when the one that it began with has run out', async () => {
    await using builder = await createBuilder();
    await using on = registryOn(fake);
    const { registry } = on;
    const repository = `${builder.namespace.name}/app`;
    await registry.ensureRepository(repository, call());
    await using pipeline = builder.open({
      registry,
      registryProxy: { image: await registryProxyImage() },
    });
    const tokens = () =>
      fake.seen.filter(({ operation }) => operation === 'GetAuthorizationToken').length;
    const tokensBefore = tokens();
    await pipeline.open(call());
    const job = await builder.job({
      files: { Dockerfile: ['FROM busybox:1', 'RUN sleep 25'].join('\n') },
      destination: { host: fake.host, insecure: true, repository },
    });
    fake.tokenSeconds = 20;
    await registry.credentials(repository, ['push'], call());
    fake.tokenSeconds = 43_200;
    const run = await pipeline.start(job, call());
    // The kubelet shows a pod its renewed Secret within a minute or two.
    const outcome = await run.wait(call(150_000));
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(tokens() - tokensBefore).toBe(2);
  });
});
