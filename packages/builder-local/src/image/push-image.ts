import { createReadStream } from 'node:fs';
import type { BlobUpload, Call, ImageClient, RepositoryLocation } from '@cygni/core';
import { BuildFault, pushing, throwIfAborted } from '../build-fault.ts';
import { type BuiltImage, digestOf, type ImageLayer } from './built-image.ts';

export interface PushRequest {
  readonly images: ImageClient;
  readonly destination: RepositoryLocation;
  readonly write: (line: string) => Promise<void>;
  readonly call: Call;
}

export interface PushedImage {
  readonly digest: string;
  /** Manifest, config and layers. */
  readonly sizeBytes: number;
}

/** Pushes layers, config and manifest, in this order, so that no reader ever sees an image with parts missing. */
export async function pushImage(image: BuiltImage, request: PushRequest): Promise<PushedImage> {
  const { images, destination, write, call } = request;
  const name = `${destination.host}/${destination.repository}`;
  const layers = [...new Map(image.layers.map((each) => [each.descriptor.digest, each])).values()];
  for (const layer of layers) await pushLayer(layer);

  const { config, manifest } = image;
  await pushing(name, () =>
    images.putBlob(
      destination,
      {
        digest: digestOf(config),
        sizeBytes: config.byteLength,
        open: async function* () {
          yield config;
        },
      },
      call,
    ),
  );
  const digest = digestOf(manifest.bytes);
  throwIfAborted(call.signal);
  const stored = await pushing(`${name}@${digest}`, () =>
    images.putManifest(destination, digest, manifest, call),
  );
  if (stored !== digest) throw new BuildFault('platform_error', `${name} stored another digest`);
  const confirmed = await pushing(`${name}@${digest}`, () =>
    images.getManifest(destination, digest, call),
  );
  if (confirmed.digest !== digest) {
    throw new BuildFault('platform_error', `${name} answers with another digest`);
  }
  await write(`pushed ${name}@${digest}`);
  const layerBytes = layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  return { digest, sizeBytes: manifest.bytes.byteLength + config.byteLength + layerBytes };

  async function pushLayer(layer: ImageLayer): Promise<void> {
    throwIfAborted(call.signal);
    const { digest, size } = layer.descriptor;
    if (layer.from?.host === destination.host) {
      const { repository } = layer.from;
      const isThere = await pushing(name, () =>
        images.mountBlob(destination, repository, digest, call),
      );
      if (isThere) {
        await write(`mounted ${digest} from ${repository}`);
        return;
      }
    }
    await write(`pushing ${digest} (${megabytes(size)})`);
    const blob: BlobUpload = { digest, sizeBytes: size, open: () => openLayer(layer) };
    await pushing(name, () => images.putBlob(destination, blob, call));
  }

  function openLayer({ path, from, descriptor }: ImageLayer): AsyncIterable<Uint8Array> {
    if (path !== undefined) return createReadStream(path);
    return (async function* () {
      if (!from) throw new BuildFault('platform_error', `${descriptor.digest} is nowhere`);
      yield* await images.getBlob(from, descriptor.digest, call);
    })();
  }
}

function megabytes(bytes: number): string {
  return bytes < 100_000 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
