import { mediaTypes } from '@cygni/core';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testCall } from './support/call.ts';
import { awsError, imageAnswer, registryOnWire, sha256, standingForAws } from './support/wire.ts';

// msw stands for AWS here.
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const registry = registryOnWire();
afterAll(() => registry.close());

const config = JSON.stringify({
  os: 'linux',
  architecture: 'arm64',
  variant: 'v8',
  rootfs: { type: 'layers', diff_ids: [] },
});
const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.length },
  layers: [{ mediaType: mediaTypes.ociLayerGzip, digest: sha256('layer'), size: 1_000_000 }],
});

describe('an image in ECR', () => {
  it('asks for its manifest in the forms that are known here', async () => {
    const aws = standingForAws({ BatchGetImage: () => imageAnswer(manifest) });
    server.use(aws.handler);
    await registry.resolve('acme/site', 'one', testCall()).catch(() => {});
    expect(aws.asked[0]?.input).toEqual({
      registryId: '123456789012',
      repositoryName: 'acme/site',
      imageIds: [{ imageTag: 'one' }],
      acceptedMediaTypes: [
        mediaTypes.ociManifest,
        mediaTypes.ociIndex,
        mediaTypes.dockerManifest,
        mediaTypes.dockerManifestList,
      ],
    });
  });

  it('is not believed when its manifest has another digest', async () => {
    server.use(standingForAws({ BatchGetImage: () => imageAnswer(manifest, sha256('x')) }).handler);
    for (const reference of ['one', sha256('x')]) {
      const resolving = registry.resolve('acme/site', reference, testCall());
      await expect(resolving).rejects.toMatchObject({ code: 'integrity', retryable: false });
    }
  });

  it('is as large as its manifest says', async () => {
    server.use(standingForAws({ BatchGetImage: () => imageAnswer(manifest) }).handler);
    expect(await registry.resolve('acme/site', 'one', testCall())).toEqual({
      digest: sha256(manifest),
      mediaType: mediaTypes.ociManifest,
      sizeBytes: manifest.length + config.length + 1_000_000,
    });
  });

  it('is tagged with its own manifest, and says its digest', async () => {
    const aws = standingForAws({
      BatchGetImage: () => imageAnswer(manifest),
      PutImage: () => ({ image: {} }),
    });
    server.use(aws.handler);
    await registry.tag('acme/site', sha256(manifest), 'two', testCall());
    expect(aws.asked.at(-1)).toEqual({
      operation: 'PutImage',
      input: {
        registryId: '123456789012',
        repositoryName: 'acme/site',
        imageManifest: manifest,
        imageManifestMediaType: mediaTypes.ociManifest,
        imageTag: 'two',
        imageDigest: sha256(manifest),
      },
    });
  });

  it.each(['ImageAlreadyExistsException', 'ImageTagAlreadyExistsException'])(
    'that has the tag already has it, whatever AWS calls that (%s)',
    async (name) => {
      const aws = standingForAws({
        BatchGetImage: () => imageAnswer(manifest),
        PutImage: () => awsError(name),
      });
      server.use(aws.handler);
      await registry.tag('acme/site', sha256(manifest), 'two', testCall());
      expect(aws.operations()).toEqual(['BatchGetImage', 'PutImage', 'BatchGetImage']);
    },
  );

  it('does not get a tag that is immutable and names another', async () => {
    const images = [imageAnswer('{"another":1}'), imageAnswer(manifest)];
    const aws = standingForAws({
      BatchGetImage: () => images.pop() ?? {},
      PutImage: () => awsError('ImageTagAlreadyExistsException'),
    });
    server.use(aws.handler);
    const tagging = registry.tag('acme/site', sha256(manifest), 'two', testCall());
    await expect(tagging).rejects.toMatchObject({ code: 'conflict', retryable: false });
  });
});

describe('tags in ECR', () => {
  it('come in order from pages that are in none, and no more of them than asked for', async () => {
    const tags = Array.from({ length: 5_000 }, (_, index) => `v${index}`);
    const shuffled = tags.toSorted((one, other) => sha256(one).localeCompare(sha256(other)));
    const aws = standingForAws({
      ListImages: ({ nextToken, maxResults }) => {
        const start = Number(nextToken ?? 0);
        const end = start + Number(maxResults);
        const imageIds = shuffled.slice(start, end).map((imageTag) => ({ imageTag }));
        return { imageIds, ...(end < tags.length && { nextToken: `${end}` }) };
      },
    });
    server.use(aws.handler);
    const expected = tags.toSorted();
    const list = (page: { after?: string; limit: number }) =>
      registry.listTags('acme/site', page, testCall());
    expect(await list({ limit: 7 })).toEqual(expected.slice(0, 7));
    expect(aws.asked.map(({ input }) => input.maxResults)).toEqual(Array(5).fill(1_000));
    expect(await list({ after: 'v2', limit: 1_500 })).toEqual(
      expected.filter((tag) => tag > 'v2').slice(0, 1_500),
    );
    expect(await list({ limit: 10_000 })).toEqual(expected);
    await expect(list({ limit: 0 })).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
