import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Call, mediaTypes } from '@cygni/core';
import type { Node } from '../files/tree.ts';
import type { Limits } from '../options.ts';
import type { LayerStore } from './layer-store.ts';
import type { StageState } from './stage-state.ts';
import { writeLayer } from './write-layer.ts';

export interface LayerWriter {
  /** Writes the changes as a layer of the stage; none for none. */
  add(state: StageState, changes: ReadonlyMap<string, Node>): Promise<void>;
  /** A new directory for files that become part of a layer. */
  createDirectory(): Promise<string>;
}

export interface LayerWriterInput {
  readonly store: LayerStore;
  readonly directory: string;
  readonly limits: Limits;
  /** Of every entry; seconds since 1970. */
  readonly epoch: number;
  readonly call: Call;
}

export function createLayerWriter({ store, directory, limits, epoch, call }: LayerWriterInput) {
  let count = 0;
  let budget = limits.imageBytes;

  const next = (name: string) => {
    count += 1;
    return join(directory, `${name}-${count}`);
  };

  const writer: LayerWriter = {
    async add(state, changes) {
      if (changes.size === 0) return;
      const contents = [...changes.values()].flatMap((node) =>
        node.kind === 'file' ? [node.content] : [],
      );
      const layer = await writeLayer({
        changes,
        read: await store.resolve(contents),
        path: next('layer'),
        mtime: epoch,
        maximumBytes: budget,
        signal: call.signal,
      });
      budget -= layer.sizeBytes;
      const { digest, sizeBytes: size, diffId, path } = layer;
      const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest, size };
      state.layers.push({ descriptor, diffId, path, from: undefined });
    },
    async createDirectory() {
      const path = next('added');
      await mkdir(path);
      return path;
    },
  };
  return writer;
}
