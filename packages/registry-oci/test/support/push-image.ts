import { mediaTypes, type RepositoryLocation } from '@cygni/core';
import type { OciImageClient } from '../../src/index.ts';
import { callWith } from './call.ts';
import { type Image, sha256 } from './image.ts';

const call = callWith();

/** Under the tag `one`. */
export async function pushImage(
  client: OciImageClient,
  location: RepositoryLocation,
  image: Image,
): Promise<void> {
  for (const bytes of [image.config, image.layer]) {
    const blob = {
      digest: sha256(bytes),
      sizeBytes: bytes.byteLength,
      async *open() {
        yield bytes;
      },
    };
    await client.putBlob(location, blob, call);
  }
  const manifest = { mediaType: mediaTypes.ociManifest, bytes: image.manifest };
  await client.putManifest(location, 'one', manifest, call);
}
