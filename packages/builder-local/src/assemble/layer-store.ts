import { createWriteStream } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  type Call,
  CygniError,
  type Descriptor,
  type ImageClient,
  type RepositoryLocation,
} from '@cygni/core';
import { BuildFault, pulling, throwIfAborted, userError } from '../build-fault.ts';
import { detectCompression, readDecompressed } from '../files/decompress.ts';
import { readTar } from '../files/read-tar.ts';
import type { Content, DirectoryNode } from '../files/tree.ts';
import type { Limits } from '../options.ts';
import { createLayerApplier } from './apply-layer.ts';
import type { StageState } from './stage-state.ts';

/** The layers of the images that a build reads: downloaded once, and unpacked only where their bytes are needed. */
export interface LayerStore {
  /** The files of a stage, with the layers of its base image that were not read yet. */
  read(state: StageState): Promise<DirectoryNode>;
  /** Where a downloaded layer is; undefined: it was not needed. */
  downloaded(digest: string): string | undefined;
  /** Makes the bytes of files readable, reading each layer at most once. @returns a path, or the bytes */
  resolve(contents: Iterable<Content>): Promise<(content: Content) => string | Uint8Array>;
}

export interface LayerStoreInput {
  readonly images: ImageClient;
  /** Existing. */
  readonly directory: string;
  readonly limits: Limits;
  readonly call: Call;
}

export function createLayerStore({ images, directory, limits, call }: LayerStoreInput): LayerStore {
  const paths = new Map<string, string>();
  const unpacked = new Map<string, Set<number>>();
  let budget = limits.imageBytes;

  async function download(location: RepositoryLocation, layer: Descriptor): Promise<string> {
    const known = paths.get(layer.digest);
    if (known !== undefined) return known;
    budget -= layer.size;
    if (budget < 0) throw userError(`the base images are larger than ${limits.imageBytes} bytes`);
    const path = join(directory, `${layer.digest.replace(':', '-')}.blob`);
    await pulling(`${location.host}/${location.repository}@${layer.digest}`, async () => {
      try {
        const blob = await images.getBlob(location, layer.digest, call);
        await pipeline(sized(blob, layer), createWriteStream(`${path}.part`), {
          signal: call.signal,
        });
      } catch (error) {
        throwIfAborted(call.signal);
        throw error;
      }
    });
    await rename(`${path}.part`, path);
    paths.set(layer.digest, path);
    return path;
  }

  const readEntries = async (path: string, onEntry: Parameters<typeof readTar>[2]) => {
    const compression = await detectCompression(path);
    if (compression === 'bzip2' || compression === 'xz') {
      throw new BuildFault('image_pull', `a base image has a layer compressed by ${compression}`);
    }
    const bounds = { ...limits, bytes: limits.imageBytes };
    await readTar(readDecompressed(path, compression), bounds, onEntry, call.signal);
  };

  const entryPath = (layer: string, entry: number) =>
    join(directory, layer.replace(':', '-'), String(entry));

  async function unpack(layer: string, wanted: ReadonlySet<number>): Promise<void> {
    const done = unpacked.get(layer) ?? new Set<number>();
    const missing = [...wanted].filter((entry) => !done.has(entry));
    const path = paths.get(layer);
    if (missing.length === 0 || path === undefined) return;
    await mkdir(join(directory, layer.replace(':', '-')), { recursive: true });
    const open = new Set(missing);
    let index = -1;
    await readEntries(path, async (_header, body) => {
      index += 1;
      if (!open.has(index)) return;
      await pipeline(body, createWriteStream(entryPath(layer, index)), { signal: call.signal });
      done.add(index);
    });
    unpacked.set(layer, done);
  }

  return {
    async read({ root, unread }) {
      for (let next = unread[0]; next; next = unread[0]) {
        const path = await download(next.location, next.layer);
        const applier = createLayerApplier(root, next.layer.digest);
        await readEntries(path, async (header) => applier.add(header));
        unread.shift();
      }
      return root;
    },
    downloaded: (digest) => paths.get(digest),
    async resolve(contents) {
      const wanted = new Map<string, Set<number>>();
      for (const content of contents) {
        if (content.kind !== 'layer') continue;
        const entries = wanted.get(content.layer) ?? new Set<number>();
        wanted.set(content.layer, entries.add(content.entry));
      }
      for (const [layer, entries] of wanted) await unpack(layer, entries);
      return (content) => {
        if (content.kind === 'layer') return entryPath(content.layer, content.entry);
        return content.kind === 'path' ? content.path : content.bytes;
      };
    },
  };
}

async function* sized(blob: AsyncIterable<Uint8Array>, { digest, size }: Descriptor) {
  let received = 0;
  for await (const chunk of blob) {
    received += chunk.byteLength;
    if (received > size)
      throw new CygniError('integrity', `${digest} is longer than its descriptor says`);
    yield chunk;
  }
}
