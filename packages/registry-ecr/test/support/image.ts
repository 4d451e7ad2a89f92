import { createHash, randomUUID } from 'node:crypto';
import { type Call, type ImageClient, mediaTypes, type RepositoryLocation } from '@cygni/core';

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export interface Image {
  readonly config: Buffer<ArrayBuffer>;
  readonly layer: Buffer<ArrayBuffer>;
  readonly manifest: Buffer<ArrayBuffer>;
  readonly digest: string;
}

/** An image of no files that no other test has. */
export function newImage(): Image {
  // The end of a tar archive.
  const layer = Buffer.alloc(1024);
  const config = encode({
    os: 'linux',
    architecture: 'amd64',
    config: { Labels: { unique: randomUUID() } },
    rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
  });
  const manifest = encode({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.byteLength },
    layers: [{ mediaType: mediaTypes.ociLayer, digest: sha256(layer), size: layer.byteLength }],
  });
  return { config, layer, manifest, digest: sha256(manifest) };
}

export async function pushBlobs(
  images: ImageClient,
  location: RepositoryLocation,
  { config, layer }: Image,
  call: Call,
): Promise<void> {
  for (const bytes of [config, layer]) {
    const blob = {
      digest: sha256(bytes),
      sizeBytes: bytes.byteLength,
      async *open() {
        yield bytes;
      },
    };
    await images.putBlob(location, blob, call);
  }
}

export async function pushImage(
  images: ImageClient,
  location: RepositoryLocation,
  reference: string,
  image: Image,
  call: Call,
): Promise<void> {
  await pushBlobs(images, location, image, call);
  const manifest = { mediaType: mediaTypes.ociManifest, bytes: image.manifest };
  await images.putManifest(location, reference, manifest, call);
}

function encode(value: object): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(value));
}
