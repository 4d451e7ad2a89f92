import { mediaTypes } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { endpointOf } from '../src/client/endpoint.ts';
import { createImageClient, createOciRegistry } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { type Embedded, embedded } from './support/embedded.ts';
import { descriptor, imageSaying, sha256 } from './support/image.ts';
import { pushImage, pushManifest } from './support/push.ts';
import { reply, scriptedRegistry } from './support/scripted-registry.ts';

const call = callWith();
const image = imageSaying('an image');
const sizeOf = ({ manifest, config, layer }: typeof image) =>
  manifest.byteLength + config.byteLength + layer.byteLength;

function indexOf(manifests: readonly object[]): Buffer<ArrayBuffer> {
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  return Buffer.from(JSON.stringify(index));
}

function registryOver(served: Embedded) {
  return createOciRegistry({ host: served.host, insecure: true });
}

describe('a registry that speaks the OCI distribution spec', () => {
  it('resolves a tag or digest to what the image is', async () => {
    await using served = await embedded();
    await using registry = registryOver(served);
    await registry.open(call);
    await pushImage(served, 'acme/site', 'one', image);
    for (const reference of ['one', image.digest]) {
      expect(await registry.resolve('acme/site', reference, call)).toEqual({
        digest: image.digest,
        mediaType: mediaTypes.ociManifest,
        sizeBytes: sizeOf(image),
      });
    }
    await expect(registry.resolve('acme/site', 'two', call)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('counts all platforms of an index, and what they share once', async () => {
    await using served = await embedded();
    await using registry = registryOver(served);
    const arm = imageSaying('an image', 'arm64');
    const manifests = [
      {
        ...descriptor(mediaTypes.ociManifest, image.manifest),
        platform: { os: 'linux', architecture: 'amd64' },
      },
      {
        ...descriptor(mediaTypes.ociManifest, arm.manifest),
        platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
      },
    ];
    for (const each of [image, arm]) await pushImage(served, 'acme/site', each.digest, each);
    const index = indexOf(manifests);
    await pushManifest(served, 'acme/site', 'all', index, mediaTypes.ociIndex);
    expect(await registry.resolve('acme/site', 'all', call)).toMatchObject({
      mediaType: mediaTypes.ociIndex,
      sizeBytes: index.byteLength + sizeOf(image) + sizeOf(arm) - arm.layer.byteLength,
    });
  });

  it('counts the attestations of an index', async () => {
    await using served = await embedded();
    await using registry = registryOver(served);
    const attestation = imageSaying('provenance', 'unknown');
    for (const each of [image, attestation]) {
      await pushImage(served, 'acme/site', each.digest, each);
    }
    const unknown = { os: 'unknown', architecture: 'unknown' };
    const index = indexOf([
      { ...descriptor(mediaTypes.ociManifest, image.manifest) },
      { ...descriptor(mediaTypes.ociManifest, attestation.manifest), platform: unknown },
    ]);
    await pushManifest(served, 'acme/site', 'attested', index, mediaTypes.ociIndex);
    expect(await registry.resolve('acme/site', 'attested', call)).toMatchObject({
      sizeBytes: index.byteLength + sizeOf(image) + sizeOf(attestation),
    });
  });

  it('resolves an index in an index, and any up to 200 manifests in all', async () => {
    await using served = await embedded();
    await using registry = registryOver(served);
    await pushImage(served, 'acme/site', 'one', image);
    const manifests: ReturnType<typeof descriptor>[] = [];
    // Manifests that differ in nothing but an annotation.
    for (let index = 0; index < 200; index += 1) {
      const annotations = { 'org.example.index': String(index) };
      const manifest = Buffer.from(
        JSON.stringify({ ...JSON.parse(`${image.manifest}`), annotations }),
      );
      await pushManifest(served, 'acme/site', sha256(manifest), manifest);
      manifests.push(descriptor(mediaTypes.ociManifest, manifest));
    }
    const sizes = new Map<string, number>();
    // With the two indexes themselves they are 200.
    for (const [tag, count] of [
      ['most', 198],
      ['more', 199],
    ] as const) {
      const inner = indexOf(manifests.slice(0, count));
      await pushManifest(served, 'acme/site', `inner-${tag}`, inner, mediaTypes.ociIndex);
      const outer = indexOf([descriptor(mediaTypes.ociIndex, inner)]);
      await pushManifest(served, 'acme/site', tag, outer, mediaTypes.ociIndex);
      const content = manifests.slice(0, count).reduce((sum, { size }) => sum + size, 0);
      sizes.set(tag, outer.byteLength + inner.byteLength + content);
    }
    const shared = sizeOf(image) - image.manifest.byteLength;
    expect(await registry.resolve('acme/site', 'most', call)).toMatchObject({
      mediaType: mediaTypes.ociIndex,
      sizeBytes: (sizes.get('most') ?? 0) + shared,
    });
    const refused = registry.resolve('acme/site', 'more', call);
    await expect(refused).rejects.toMatchObject({ code: 'too_large' });
  });

  it('tags, lists tags in pages and deletes, twice if asked to', async () => {
    await using served = await embedded();
    await using registry = registryOver(served);
    await registry.ensureRepository('acme/site', call);
    expect(await registry.listTags('acme/site', { limit: 10 }, call)).toEqual([]);
    await pushImage(served, 'acme/site', 'one', image);
    for (const tag of ['two', 'three', 'four']) {
      await registry.tag('acme/site', image.digest, tag, call);
    }
    expect(await registry.listTags('acme/site', { limit: 3 }, call)).toEqual([
      'four',
      'one',
      'three',
    ]);
    expect(await registry.listTags('acme/site', { limit: 3, after: 'three' }, call)).toEqual([
      'two',
    ]);
    await registry.deleteImage('acme/site', image.digest, call);
    await registry.deleteImage('acme/site', image.digest, call);
    expect(await registry.listTags('acme/site', { limit: 3 }, call)).toEqual([]);
    await expect(registry.tag('acme/site', image.digest, 'x', call)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('lists tags of registries that page as they like, or not at all', async () => {
    await using small = await scriptedRegistry((seen, response) => {
      const last = new URL(seen.path, 'http://x').searchParams.get('last') ?? '';
      const rest = ['a', 'b', 'c', 'd', 'e'].filter((tag) => tag > last);
      const link = `</v2/acme/site/tags/list?last=${rest[1]}>; rel="next"`;
      const body = JSON.stringify({ tags: rest.slice(0, 2) });
      reply(response, 200, rest.length > 2 ? { link } : {}, body);
    });
    await using first = createOciRegistry({ host: small.host, insecure: true });
    expect(await first.listTags('acme/site', { limit: 4 }, call)).toEqual(['a', 'b', 'c', 'd']);
    expect(small.seen).toHaveLength(2);

    await using all = await scriptedRegistry((_, response) =>
      reply(response, 200, {}, JSON.stringify({ tags: ['c', 'a', 'b'] })),
    );
    await using second = createOciRegistry({ host: all.host, insecure: true });
    expect(await second.listTags('acme/site', { limit: 2, after: 'a' }, call)).toEqual(['b', 'c']);
  });

  it('asks for credentials for each repository and action', async () => {
    const asked: string[] = [];
    const right = `Basic ${Buffer.from('u:p').toString('base64')}`;
    await using served = await embedded({
      authorize: async ({ authorization }) =>
        authorization === right ? 'allow' : 'unauthenticated',
    });
    await using registry = createOciRegistry({
      host: served.host,
      insecure: true,
      credentials: async (repository, actions) => {
        asked.push(`${repository} ${actions}`);
        return { username: 'u', password: 'p', expiresAt: null, reach: 'repository' };
      },
    });
    expect(await registry.listTags('acme/site', { limit: 3 }, call)).toEqual([]);
    await registry.deleteImage('acme/site', image.digest, call);
    expect(asked).toEqual(['acme/site pull', 'acme/site pull,delete']);
    expect(await registry.credentials('acme/site', ['push'], call)).toMatchObject({
      username: 'u',
    });

    await using stranger = registryOver(served);
    expect(await stranger.credentials('acme/site', ['pull'], call)).toMatchObject({ username: '' });
    await expect(stranger.listTags('acme/site', { limit: 3 }, call)).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  it('does not wait for credentials longer than its caller', async () => {
    await using registry = createOciRegistry({
      host: '127.0.0.1:1',
      insecure: true,
      credentials: () => new Promise(() => undefined),
    });
    const controller = new AbortController();
    const pending = registry.credentials('acme/site', ['pull'], callWith(controller.signal));
    controller.abort();
    await expect(pending).rejects.toMatchObject({ code: 'aborted' });
  });

  it('refuses names before it says them to anyone', async () => {
    await using registry = createOciRegistry({ host: '127.0.0.1:1', insecure: true });
    for (const name of ['', '../x', 'Acme', 'a//b', 'a b', 'x'.repeat(256)]) {
      await expect(registry.ensureRepository(name, call)).rejects.toMatchObject({
        code: 'invalid_input',
      });
      await expect(registry.resolve(name, 'one', call)).rejects.toMatchObject({
        code: 'invalid_input',
      });
    }
    for (const host of ['', 'https://x', 'a/b', 'u@h', 'h:port']) {
      expect(() => createOciRegistry({ host, insecure: true })).toThrow(/createOciRegistry/);
    }
  });

  it('ends its own connections and nobody else’s', async () => {
    await using served = await embedded();
    await using client = createImageClient();
    const registry = createOciRegistry({ host: served.host, insecure: true, client });
    await registry.close();
    await registry.close();
    await expect(registry.listTags('acme/site', { limit: 1 }, call)).rejects.toMatchObject({
      code: 'closed',
    });
    await expect(registry.open(call)).rejects.toMatchObject({ code: 'closed' });
    expect(await client.listTags(served.location('acme/site'), { limit: 1 }, call)).toEqual([]);
  });
});

describe('Docker Hub', () => {
  it.each([
    ['docker.io', 'alpine', 'https://registry-1.docker.io/', 'library/alpine'],
    ['index.docker.io', 'acme/site', 'https://registry-1.docker.io/', 'acme/site'],
    ['ghcr.io', 'alpine', 'https://ghcr.io/', 'alpine'],
  ])('%s %s', (host, repository, origin, name) => {
    const endpoint = endpointOf({ host, repository, insecure: false });
    expect([endpoint.origin.href, endpoint.repository]).toEqual([origin, name]);
  });
});
