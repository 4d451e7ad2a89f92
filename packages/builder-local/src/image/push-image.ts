import { createReadStream } from 'node:fs';
import type { BlobUpload, BuildJob, Call, ImageClient } from '@cygni/core';
import { BuildFault, throwIfAborted } from '../build-fault.ts';
import { type BuiltImage, digestOf, type ImageLayer } from './built-image.ts';
import { createDestination } from './destination.ts';

export interface PushRequest {
  readonly images: ImageClient;
  readonly job: Pick<BuildJob, 'destination' | 'renewCredentials'>;
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
  const { images, job, write, call } = request;
  const { host, repository } = job.destination;
  const name = `${host}/${repository}`;
  const destination = createDestination(job, call);
  const layers = [...new Map(image.layers.map((each) => [each.descriptor.digest, each])).values()];
  for (const layer of layers) await pushLayer(layer);

  const { config, manifest } = image;
  await destination.send(name, (location) =>
    images.putBlob(
      location,
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
  const stored = await destination.send(`${name}@${digest}`, (location) =>
    images.putManifest(location, digest, manifest, call),
  );
  if (stored !== digest) throw new BuildFault('platform_error', `${name} stored another digest`);
  const confirmed = await destination.send(`${name}@${digest}`, (location) =>
    images.getManifest(location, digest, call),
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
    if (layer.from?.host === host) {
      const { repository: from } = layer.from;
      const isThere = await destination.send(name, (location) =>
        images.mountBlob(location, from, digest, call),
      );
      if (isThere) {
        await write(`mounted ${digest} from ${from}`);
        return;
      }
    }
    await write(`pushing ${digest} (${megabytes(size)})`);
    const blob: BlobUpload = { digest, sizeBytes: size, open: () => openLayer(layer) };
    await destination.send(name, (location) => images.putBlob(location, blob, call));
  }

  function openLayer({ path, from, descriptor }: ImageLayer): AsyncIterable<Uint8Array> {
    if (path !== undefined) return createReadStream(path);
    return (async function* () {
      if (!from) throw new BuildFault('platform_error', `${descriptor.digest} is nowhere`);
      yield* await images.getBlob(destination.renewed(from), descriptor.digest, call);
    })();
  }
}

function megabytes(bytes: number): string {
  return bytes < 100_000 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
