import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Descriptor, imageIndexSchema, imageManifestSchema, mediaTypes } from '@cygni/core';
import { BuildFault } from '../build-fault.ts';
import { type BuiltImage, digestOf } from '../image/built-image.ts';

/** Reads the image that an engine wrote as an OCI layout. @throws BuildFault unless it is the one with this digest */
export async function readLayout(directory: string, digest: string): Promise<BuiltImage> {
  const blob = (each: string) => join(directory, 'blobs', ...each.split(':'));
  const index = imageIndexSchema.parse(
    JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')),
  );
  const descriptor: Descriptor | undefined = index.manifests[0];
  const bytes = descriptor && (await readFile(blob(descriptor.digest)));
  if (!bytes || descriptor.digest !== digest || digestOf(bytes) !== digest) {
    throw new BuildFault('platform_error', 'the engine wrote another image than it said');
  }
  const manifest = imageManifestSchema.parse(JSON.parse(bytes.toString('utf8')));
  return {
    manifest: { mediaType: manifest.mediaType ?? mediaTypes.ociManifest, bytes },
    config: await readFile(blob(manifest.config.digest)),
    layers: manifest.layers.map((layer) => ({
      descriptor: layer,
      diffId: '',
      path: blob(layer.digest),
      from: undefined,
    })),
  };
}
