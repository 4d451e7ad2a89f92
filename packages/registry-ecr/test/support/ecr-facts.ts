import { randomUUID } from 'node:crypto';
import {
  type ImageClient,
  isCygniError,
  mediaTypes,
  type Registry,
  type RepositoryLocation,
} from '@cygni/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testCall } from './call.ts';
import { newImage, pushImage, sha256 } from './image.ts';

export interface EcrUnderTest extends AsyncDisposable {
  readonly registry: Registry;
  /** The same registry, but it creates repositories whose tags stay. */
  readonly immutable: Registry;
  readonly images: ImageClient;
  /** What the names of repositories begin with. */
  readonly prefix: string;
}

/**
 * What the adapter builds on. Runs on the fake, to say what it claims, and with `npm run test:aws` on AWS,
 * to say whether that is so.
 */
export function ecrFacts(create: () => Promise<EcrUnderTest>): void {
  describe('what is built on', () => {
    let on: EcrUnderTest;
    beforeEach(async () => {
      on = await create();
    });
    afterEach(() => on?.[Symbol.asyncDispose]());

    const newName = () => `${on.prefix}/facts-${randomUUID().slice(0, 13)}`;
    async function locate(repository: string): Promise<RepositoryLocation> {
      const { host, insecure } = on.registry;
      const credentials = await on.registry.credentials(repository, ['pull', 'push'], testCall());
      return { host, insecure, repository, credentials };
    }
    async function newRepository(registry: Registry = on.registry): Promise<RepositoryLocation> {
      const repository = newName();
      await registry.ensureRepository(repository, testCall());
      return locate(repository);
    }
    const digestOf = async ({ repository }: RepositoryLocation, reference: string) =>
      (await on.registry.resolve(repository, reference, testCall())).digest;

    it('a push into a repository that was never created is refused', async () => {
      const location = await locate(newName());
      const pushing = pushImage(on.images, location, 'one', newImage(), testCall());
      await expect(pushing).rejects.toMatchObject({ code: 'not_found', retryable: false });
    });

    it('a push with a password that AWS never gave is refused', async () => {
      const location = await newRepository();
      const credentials = {
        username: 'AWS',
        password: 'x',
        expiresAt: null,
        reach: 'account',
      } as const;
      const stranger = { ...location, credentials };
      const pushing = pushImage(on.images, stranger, 'one', newImage(), testCall());
      await expect(pushing).rejects.toMatchObject({ code: 'forbidden', retryable: false });
    });

    it('a push does not move an immutable tag', async () => {
      const location = await newRepository(on.immutable);
      const [first, second] = [newImage(), newImage()];
      await pushImage(on.images, location, 'one', first, testCall());
      const pushing = pushImage(on.images, location, 'one', second, testCall());
      await expect(pushing).rejects.toMatchObject({ code: 'conflict', retryable: false });
      expect(await digestOf(location, 'one')).toBe(first.digest);
    });

    it('an immutable tag is won by exactly one of many, and the others hear of it', async () => {
      const location = await newRepository(on.immutable);
      const candidates = Array.from({ length: 5 }, newImage);
      for (const image of candidates) {
        await pushImage(on.images, location, image.digest, image, testCall());
      }
      const settled = await Promise.all(
        candidates.map(({ digest }) =>
          on.registry.tag(location.repository, digest, 'one', testCall()).then(
            () => digest,
            (error: unknown) => (isCygniError(error, 'conflict') ? 'conflict' : error),
          ),
        ),
      );
      const winner = await digestOf(location, 'one');
      expect(settled.toSorted()).toEqual([...Array(4).fill('conflict'), winner].toSorted());
    });

    it('layers come from another server, which takes no credentials beside its own', async () => {
      const location = await newRepository();
      const image = newImage();
      await pushImage(on.images, location, 'one', image, testCall());
      const scheme = location.insecure ? 'http' : 'https';
      const path = `/v2/${location.repository}/blobs/${sha256(image.config)}`;
      const pair = `${location.credentials?.username}:${location.credentials?.password}`;
      const headers = { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
      const answer = await fetch(`${scheme}://${location.host}${path}`, {
        redirect: 'manual',
        headers,
      });
      const storage = answer.headers.get('location') ?? '';
      expect([answer.status, new URL(storage).host === location.host]).toEqual([307, false]);
      expect((await fetch(storage, { headers })).status).toBe(400);
      expect(Buffer.from(await (await fetch(storage)).arrayBuffer())).toEqual(image.config);
    });

    it('an image whose tag moved away stays', async () => {
      const location = await newRepository();
      const [first, second] = [newImage(), newImage()];
      await pushImage(on.images, location, 'one', first, testCall());
      await pushImage(on.images, location, 'one', second, testCall());
      expect(await digestOf(location, 'one')).toBe(second.digest);
      expect(await digestOf(location, first.digest)).toBe(first.digest);
    });

    it('an image that an index names is deleted only after the index', async () => {
      const location = await newRepository();
      const { repository } = location;
      const image = newImage();
      await pushImage(on.images, location, 'one', image, testCall());
      const member = {
        mediaType: mediaTypes.ociManifest,
        digest: image.digest,
        size: image.manifest.byteLength,
        platform: { os: 'linux', architecture: 'amd64' },
      };
      const mediaType = mediaTypes.ociIndex;
      const index = { schemaVersion: 2, mediaType, manifests: [member] };
      const bytes = Buffer.from(JSON.stringify(index));
      await on.images.putManifest(location, 'all', { mediaType, bytes }, testCall());
      const early = on.registry.deleteImage(repository, image.digest, testCall());
      await expect(early).rejects.toMatchObject({ code: 'conflict', retryable: false });
      await on.registry.deleteImage(repository, sha256(bytes), testCall());
      await on.registry.deleteImage(repository, image.digest, testCall());
      expect(await on.registry.listTags(repository, { limit: 1 }, testCall())).toEqual([]);
    });
  });
}
