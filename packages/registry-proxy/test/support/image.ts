import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { mediaTypes } from '@cygni/core';

export interface Image {
  readonly manifest: Buffer<ArrayBuffer>;
  readonly digest: string;
  readonly config: Buffer<ArrayBuffer>;
  readonly layer: Buffer<ArrayBuffer>;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** An image whose one layer is noise of that size: registries look at digests only. */
export function image(layerBytes = 10_000): Image {
  const noise = randomBytes(layerBytes);
  const layer = Buffer.from(gzipSync(noise, { level: 0 }));
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [sha256(noise)] },
    }),
  );
  const descriptor = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.byteLength,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptor(mediaTypes.ociConfig, config),
      layers: [descriptor(mediaTypes.ociLayerGzip, layer)],
    }),
  );
  return { manifest, digest: sha256(manifest), config, layer };
}

/** Writes the image as an OCI layout whose index names it `latest`. */
export async function writeLayout(each: Image, directory: string): Promise<void> {
  const blobs = path.join(directory, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  for (const bytes of [each.manifest, each.config, each.layer]) {
    await writeFile(path.join(blobs, sha256(bytes).slice('sha256:'.length)), bytes);
  }
  await writeFile(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        mediaType: mediaTypes.ociManifest,
        digest: each.digest,
        size: each.manifest.byteLength,
        annotations: { 'org.opencontainers.image.ref.name': 'latest' },
      },
    ],
  };
  await writeFile(path.join(directory, 'index.json'), JSON.stringify(index));
}
