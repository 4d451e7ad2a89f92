import { createHash } from 'node:crypto';
import { type Descriptor, mediaTypes, type RepositoryLocation } from '@cygni/core';

export interface ImageLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** On disk; undefined: not downloaded. */
  readonly path: string | undefined;
  /** The image that it is part of already. */
  readonly from: RepositoryLocation | undefined;
}

/** An image that is ready to be pushed. */
export interface BuiltImage {
  readonly manifest: { readonly mediaType: string; readonly bytes: Uint8Array };
  readonly config: Uint8Array;
  readonly layers: readonly ImageLayer[];
}

export function composeImage(config: Uint8Array, layers: readonly ImageLayer[]): BuiltImage {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: {
        mediaType: mediaTypes.ociConfig,
        digest: digestOf(config),
        size: config.byteLength,
      },
      layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({
        mediaType,
        digest,
        size,
      })),
    }),
  );
  return { manifest: { mediaType: mediaTypes.ociManifest, bytes }, config, layers };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
