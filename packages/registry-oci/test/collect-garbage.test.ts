import { readdir, rm, utimes } from 'node:fs/promises';
import path from 'node:path';
import { mediaTypes } from '@cygni/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Embedded, embedded } from './support/embedded.ts';
import { descriptor, type Image, imageSaying, sha256 } from './support/image.ts';
import { codeOf, pushBlob, pushImage, pushManifest } from './support/push.ts';

const kept = imageSaying('kept');
const dropped = imageSaying('dropped', 'arm64');
const never = () => new AbortController().signal;

async function has(registry: Embedded, repository: string, bytes: Uint8Array): Promise<boolean> {
  const found = await fetch(registry.url(`${repository}/blobs/${sha256(bytes)}`));
  await found.arrayBuffer();
  return found.status === 200;
}

describe('collecting garbage', () => {
  it('deletes what no manifest refers to any more, and nothing else', async () => {
    await using registry = await embedded({ limits: { garbageGraceMs: 0 } });
    await pushImage(registry, 'acme/site', 'kept', kept);
    await pushImage(registry, 'acme/site', 'dropped', dropped);
    await pushBlob(registry, 'acme/site', Buffer.from('an orphan'));
    await fetch(registry.url(`acme/site/manifests/${dropped.digest}`), { method: 'DELETE' });

    expect(await registry.server.collectGarbage({ signal: never() })).toEqual({
      deletedBlobs: 4,
      freedBytes:
        dropped.manifest.byteLength + dropped.config.byteLength + dropped.layer.byteLength + 9,
    });
    expect(await has(registry, 'acme/site', kept.layer)).toBe(true);
    expect((await fetch(registry.url('acme/site/manifests/kept'))).status).toBe(200);
    expect(await has(registry, 'acme/site', dropped.layer)).toBe(false);
    expect(await registry.server.collectGarbage({ signal: never() })).toEqual({
      deletedBlobs: 0,
      freedBytes: 0,
    });
  });

  it('keeps content for one repository without leaving it to another that dropped it', async () => {
    await using registry = await embedded({ limits: { garbageGraceMs: 0 } });
    await pushImage(registry, 'acme/site', 'one', kept);
    await pushImage(registry, 'other/site', 'one', kept);
    await fetch(registry.url(`other/site/manifests/${kept.digest}`), { method: 'DELETE' });
    const { deletedBlobs } = await registry.server.collectGarbage({ signal: never() });
    expect(deletedBlobs).toBe(0);
    expect(await has(registry, 'acme/site', kept.layer)).toBe(true);
    expect(await has(registry, 'other/site', kept.layer)).toBe(false);
  });

  it('leaves alone what was pushed or asked for within the grace period', async () => {
    await using registry = await embedded();
    await pushBlob(registry, 'acme/site', kept.layer);
    await pushBlob(registry, 'acme/site', kept.config);
    await age(registry, 'acme/site', kept.layer);
    await age(registry, 'acme/site', kept.config);
    // A pusher hears that the layer is there, and so does not send it.
    await fetch(registry.url(`acme/site/blobs/${sha256(kept.layer)}`), { method: 'HEAD' });

    // Its config was pushed long ago, and belongs to the same push.
    const { deletedBlobs } = await registry.server.collectGarbage({ signal: never() });
    expect(deletedBlobs).toBe(0);
    const accepted = await pushManifest(registry, 'acme/site', 'one', kept.manifest);
    expect(accepted.status).toBe(201);
  });

  it('takes nothing from a push that lasts longer than the grace period', async () => {
    await using registry = await embedded();
    const collect = () => registry.server.collectGarbage({ signal: never() });
    await pushBlob(registry, 'acme/site', kept.config);
    await age(registry, 'acme/site', kept.config);
    const opened = await fetch(registry.url('acme/site/blobs/uploads/'), { method: 'POST' });
    const location = new URL(opened.headers.get('location') ?? '', registry.url(''));
    // The layer is on its way for hours.
    expect(await collect()).toMatchObject({ deletedBlobs: 0 });
    location.searchParams.set('digest', sha256(kept.layer));
    expect((await fetch(location, { method: 'PUT', body: kept.layer })).status).toBe(201);
    // It has just arrived, and the manifest has not.
    expect(await collect()).toMatchObject({ deletedBlobs: 0 });

    const accepted = await pushManifest(registry, 'acme/site', 'one', kept.manifest);
    expect(accepted.status).toBe(201);
    expect(await has(registry, 'acme/site', kept.config)).toBe(true);
  });

  it('leaves nothing for a push that came to a halt, went elsewhere, or takes longer than any may', async () => {
    await using registry = await embedded();
    const collect = () => registry.server.collectGarbage({ signal: never() });
    const begin = (repository: string) =>
      fetch(registry.url(`${repository}/blobs/uploads/`), { method: 'POST' });
    await pushBlob(registry, 'acme/site', kept.config);
    await age(registry, 'acme/site', kept.config);
    await begin('other/site');
    expect(await collect()).toMatchObject({ deletedBlobs: 1 });

    await pushBlob(registry, 'acme/site', kept.config);
    await age(registry, 'acme/site', kept.config, 25);
    await begin('acme/site');
    expect(await collect()).toMatchObject({ deletedBlobs: 1 });
  });

  it('never leaves a manifest without its content, however pushes and collections meet', async () => {
    await using registry = await embedded({ limits: { garbageGraceMs: 0 } });
    const images = Array.from({ length: 40 }, (_, index) => imageSaying(`image ${index}`));
    for (const image of images) {
      await pushBlob(registry, 'acme/site', image.config);
      await pushBlob(registry, 'acme/site', image.layer);
    }
    // Everything is old enough to go, and each manifest says in the midst of it that its part stays.
    const [collected, ...pushed] = await Promise.all([
      registry.server.collectGarbage({ signal: never() }),
      ...images.map((image) => pushManifest(registry, 'acme/site', image.digest, image.manifest)),
    ]);
    expect(collected.deletedBlobs).toBeLessThan(80);
    for (const [index, image] of images.entries()) {
      const response = pushed[index];
      if (response?.status === 201) {
        expect(await has(registry, 'acme/site', image.layer)).toBe(true);
        expect(await has(registry, 'acme/site', image.config)).toBe(true);
      } else {
        expect(response && (await codeOf(response))).toBe('MANIFEST_BLOB_UNKNOWN');
      }
    }
  });

  it('never takes from a push what its registry said was there, in any history of pushes, deletions and collections', async () => {
    const shared = Array.from({ length: 4 }, (_, index) => imageSaying(`layer ${index}`));
    const step = fc.record({
      action: fc.constantFrom('push', 'push', 'push', 'delete', 'collect'),
      image: fc.nat(5),
      repository: fc.constantFrom('acme/site', 'other/site'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
        // Longer than any one push here takes, shorter than the history.
        await using registry = await embedded({ limits: { garbageGraceMs: 2_000 } });
        const images = Array.from({ length: 6 }, (_, index) => imageOver(shared, index));
        const tagged = new Map<string, Image>();
        const walk = async ({ action, image: which, repository }: (typeof steps)[number]) => {
          const image = images[which] ?? kept;
          if (action === 'collect') {
            await registry.server.collectGarbage({ signal: never() });
          } else if (action === 'delete') {
            tagged.delete(`${repository}:${which}`);
            const url = registry.url(`${repository}/manifests/${which}`);
            await fetch(url, { method: 'DELETE' });
          } else {
            for (const bytes of [image.config, image.layer]) {
              const url = registry.url(`${repository}/blobs/${sha256(bytes)}`);
              const present = await fetch(url, { method: 'HEAD' });
              if (!present.ok) await pushBlob(registry, repository, bytes);
            }
            const pushed = await pushManifest(registry, repository, `${which}`, image.manifest);
            expect(pushed.status).toBe(201);
            tagged.set(`${repository}:${which}`, image);
          }
        };
        // Everything is old enough to go, but for what was asked for since.
        for (let at = 0; at < steps.length; at += 8) {
          await ageAll(registry);
          // No tag is both pushed and deleted at once, so that it is known what must be there.
          const batch = steps.slice(at, at + 8);
          await Promise.all(batch.filter(({ action }) => action !== 'delete').map(walk));
          for (const each of batch.filter(({ action }) => action === 'delete')) await walk(each);
        }
        await ageAll(registry);
        await registry.server.collectGarbage({ signal: never() });
        for (const [name, image] of tagged) {
          const [repository = '', tag = ''] = name.split(':');
          const found = await fetch(registry.url(`${repository}/manifests/${tag}`));
          expect(Buffer.from(await found.arrayBuffer())).toEqual(image.manifest);
          expect(await has(registry, repository, image.config)).toBe(true);
          expect(await has(registry, repository, image.layer)).toBe(true);
        }
      }),
      { numRuns: 15, endOnFailure: true },
    );
  });

  it('deletes nothing when it cannot read what a manifest refers to', async () => {
    await using registry = await embedded({ limits: { garbageGraceMs: 0 } });
    await pushImage(registry, 'acme/site', 'one', kept);
    await rm(blobFile(registry, kept.manifest));
    await expect(registry.server.collectGarbage({ signal: never() })).rejects.toMatchObject({
      code: 'integrity',
    });
    expect(await has(registry, 'acme/site', kept.layer)).toBe(true);
  });

  it('stops when it is told to', async () => {
    await using registry = await embedded();
    await pushImage(registry, 'acme/site', 'one', kept);
    await expect(
      registry.server.collectGarbage({ signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'aborted' });
  });
});

function blobFile(registry: Embedded, bytes: Uint8Array): string {
  const hex = sha256(bytes).slice('sha256:'.length);
  return path.join(registry.directory, 'blobs', 'sha256', hex.slice(0, 2), hex);
}

async function age(
  registry: Embedded,
  repository: string,
  bytes: Uint8Array,
  hours = 2,
): Promise<void> {
  const hex = sha256(bytes).slice('sha256:'.length);
  const link = path.join(registry.directory, 'repositories', repository, '_blobs', hex);
  const past = new Date(Date.now() - hours * 60 * 60 * 1000);
  for (const file of [link, blobFile(registry, bytes)]) await utimes(file, past, past);
}

/** Of its own config, and a layer that others have too. */
function imageOver(layers: readonly Image[], index: number): Image {
  const own = imageSaying(`config ${index}`);
  const layer = (layers[index % layers.length] ?? own).layer;
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(mediaTypes.ociConfig, own.config),
      layers: [descriptor(mediaTypes.ociLayerGzip, layer)],
    }),
  );
  return { manifest, digest: sha256(manifest), config: own.config, layer };
}

async function ageAll(registry: Embedded): Promise<void> {
  const past = new Date(Date.now() - 2 * 60 * 60 * 1000);
  const found = await readdir(registry.directory, { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile());
  await Promise.all(files.map((file) => utimes(path.join(file.parentPath, file.name), past, past)));
}
