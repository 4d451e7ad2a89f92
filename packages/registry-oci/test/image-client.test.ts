import { randomBytes } from 'node:crypto';
import { type BlobUpload, CygniError, hostPlatform, mediaTypes, readImage } from '@cygni/core';
import { afterAll, describe, expect, it } from 'vitest';
import { createImageClient } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { type Embedded, embedded } from './support/embedded.ts';
import { type Image, imageSaying, sha256 } from './support/image.ts';

const call = callWith();
const client = createImageClient({ monolithicBytes: 1000, chunkBytes: 64 * 1024 });
afterAll(() => client.close());

function upload(bytes: Uint8Array, pieces = 7): BlobUpload {
  return {
    digest: sha256(bytes),
    sizeBytes: bytes.byteLength,
    async *open() {
      const size = Math.ceil(bytes.byteLength / pieces) || 1;
      for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
    },
  };
}

async function read(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function push(registry: Embedded, repository: string, tag: string, image: Image) {
  const location = registry.location(repository);
  for (const bytes of [image.config, image.layer]) {
    await client.putBlob(location, upload(bytes), call);
  }
  const manifest = { mediaType: mediaTypes.ociManifest, bytes: image.manifest };
  return client.putManifest(location, tag, manifest, call);
}

describe('the image client and the embedded registry', () => {
  it('pushes an image and reads it as what it is', async () => {
    await using registry = await embedded();
    const image = imageSaying('hello', hostPlatform().architecture);
    expect(await push(registry, 'acme/site', 'one', image)).toBe(image.digest);

    const location = registry.location('acme/site');
    for (const reference of ['one', image.digest]) {
      const found = await client.getManifest(location, reference, call);
      expect(found).toMatchObject({ digest: image.digest, mediaType: mediaTypes.ociManifest });
      expect(Buffer.from(found.bytes)).toEqual(image.manifest);
    }
    const found = await readImage(client, location, 'one', hostPlatform(), call);
    expect(found.config.config?.Cmd).toEqual(['/hello']);
    expect(await read(await client.getBlob(location, sha256(image.layer), call))).toEqual(
      image.layer,
    );
  });

  it.each([0, 1, 999, 1000, 1001, 64 * 1024, 64 * 1024 + 1, 500_000])(
    'carries a blob of %i bytes there and back',
    async (size) => {
      await using registry = await embedded();
      const location = registry.location('acme/site');
      const bytes = randomBytes(size);
      await client.putBlob(location, upload(bytes), call);
      expect(await read(await client.getBlob(location, sha256(bytes), call))).toEqual(bytes);
    },
  );

  it('does not open what the registry has', async () => {
    await using registry = await embedded();
    const location = registry.location('acme/site');
    const bytes = randomBytes(100);
    await client.putBlob(location, upload(bytes), call);
    const again: BlobUpload = {
      ...upload(bytes),
      open: () => {
        throw new Error('opened');
      },
    };
    await client.putBlob(location, again, call);
  });

  it('mounts a blob, or says that it could not', async () => {
    await using registry = await embedded();
    const bytes = randomBytes(100);
    await client.putBlob(registry.location('acme/site'), upload(bytes), call);
    const target = registry.location('acme/copy');
    expect(await client.mountBlob(target, 'nobody/site', sha256(bytes), call)).toBe(false);
    expect(await client.mountBlob(target, 'acme/site', sha256(bytes), call)).toBe(true);
    expect(await read(await client.getBlob(target, sha256(bytes), call))).toEqual(bytes);
  });

  it.each([100, 200_000])('pushes no content but the one announced (%i bytes)', async (size) => {
    await using registry = await embedded();
    const location = registry.location('acme/site');
    const bytes = randomBytes(size);
    const right = upload(bytes);
    for (const wrong of [
      { ...right, open: upload(randomBytes(size)).open },
      { ...right, sizeBytes: size + 1 },
      { ...right, sizeBytes: size - 1 },
    ]) {
      await expect(client.putBlob(location, wrong, call)).rejects.toMatchObject({
        code: 'integrity',
        retryable: false,
      });
    }
    await expect(client.getBlob(location, right.digest, call)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('passes on what the caller’s own stream fails with, without trying again', async () => {
    await using registry = await embedded();
    let opened = 0;
    const failing = (error: Error): BlobUpload => ({
      ...upload(randomBytes(100)),
      // biome-ignore lint/correctness/useYield: a stream that fails before its first byte
      async *open() {
        opened += 1;
        throw error;
      },
    });
    const own = new CygniError('too_large', 'the context is too large');
    const location = registry.location('acme/site');
    await expect(client.putBlob(location, failing(own), call)).rejects.toBe(own);
    const system = Object.assign(new Error('read failed'), { code: 'ECONNRESET' });
    await expect(client.putBlob(location, failing(system), call)).rejects.toMatchObject({
      code: 'internal',
    });
    expect(opened).toBe(2);
  });

  it('says what is missing and what is no name', async () => {
    await using registry = await embedded();
    const location = registry.location('acme/site');
    await expect(client.getManifest(location, 'none', call)).rejects.toMatchObject({
      code: 'not_found',
      retryable: false,
    });
    for (const run of [
      () => client.getManifest(location, '../x', call),
      () => client.getBlob(location, 'sha256:../x', call),
      () => client.getManifest({ ...location, repository: '../x' }, 'one', call),
      () => client.getManifest({ ...location, host: 'user@host' }, 'one', call),
      () => client.getManifest({ ...location, host: 'host/path' }, 'one', call),
    ]) {
      await expect(run()).rejects.toMatchObject({ code: 'invalid_input' });
    }
    const bytes = Buffer.from('{}');
    await expect(
      client.putManifest(location, sha256(Buffer.from('x')), { mediaType: 'x', bytes }, call),
    ).rejects.toMatchObject({ code: 'integrity' });
  });

  it('carries Basic credentials, and is refused with wrong ones', async () => {
    const right = `Basic ${Buffer.from('builder:s3cret').toString('base64')}`;
    await using registry = await embedded({
      authorize: async ({ authorization }) =>
        authorization === right ? 'allow' : 'unauthenticated',
    });
    const location = registry.location('acme/site');
    const withPassword = (password: string) => ({
      ...location,
      credentials: {
        username: 'builder',
        password,
        expiresAt: null,
        reach: 'repository' as const,
      },
    });
    const bytes = randomBytes(200_000);
    await client.putBlob(withPassword('s3cret'), upload(bytes), call);
    for (const refused of [location, withPassword('wr0ng')]) {
      const failure = await client.getBlob(refused, sha256(bytes), call).catch((error) => error);
      expect(failure).toMatchObject({ code: 'forbidden', retryable: false });
      expect(JSON.stringify([failure.message, failure.cause, failure.stack])).not.toMatch(
        /wr0ng|s3cret|Basic /,
      );
    }
  });

  it('is usable until it is closed', async () => {
    await using registry = await embedded();
    const mine = createImageClient();
    await mine.listTags(registry.location('acme/site'), { limit: 1 }, call);
    await mine.close();
    await mine.close();
    await expect(
      mine.getManifest(registry.location('acme/site'), 'one', call),
    ).rejects.toMatchObject({ code: 'closed' });
  });
});
