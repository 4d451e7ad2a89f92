import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { lchown, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  abortedError,
  type Call,
  CygniError,
  type ImageClient,
  isCygniError,
  type ReadImage,
  type RepositoryLocation,
} from '@cygni/core';
import pRetry from 'p-retry';
import type { IdMap } from './id-map.ts';
import { directoryInside, splitArchivePath, statOrNull } from './inside-root.ts';
import { systemCode } from './map-error.ts';
import { removeTree } from './remove-tree.ts';
import { type UnpackBudget, unpackLayer } from './unpack-layer.ts';

export interface RootStore {
  /** The unpacked root of an image; unpacks it unless it is there. Nobody may write to it. */
  ensure(image: ReadImage, location: RepositoryLocation, call: Call): Promise<string>;
  /** Deletes every root whose image is not kept, and what an earlier crash left half-done. */
  prune(isKept: (digest: string) => boolean): Promise<void>;
}

const maximumBytes = 32 * 1024 ** 3;
const maximumEntries = 2_000_000;

export function createRootStore(directory: string, ids: IdMap, images: ImageClient): RootStore {
  const unpacking = new Map<string, Promise<string>>();
  const busy = new Set<string>();
  // Owners differ between the two, so a root of one kind is of no use to the other.
  const suffix = ids.kind === 'range' ? `.${ids.first}` : '';
  const pathOf = (digest: string) => join(directory, `${digest.replace(':', '-')}${suffix}`);

  return {
    async ensure(image, location, call) {
      for (;;) {
        const path = pathOf(image.digest);
        if (await statOrNull(path)) return path;
        const running = unpacking.get(path);
        if (!running) {
          const started = unpackAll(path, image, location, call).finally(() =>
            unpacking.delete(path),
          );
          unpacking.set(path, started);
          return started;
        }
        // Another call's end is not this one's: it looks again, and does it itself if need be.
        await running.catch(() => {});
        if (call.signal.aborted) throw abortedError(call.signal);
      }
    },
    async prune(isKept) {
      for (const name of await namesIn(directory)) {
        const path = join(directory, name);
        const digest = name.replace(/\..*$/, '').replace('-', ':');
        if (busy.has(path) || (path === pathOf(digest) && isKept(digest))) continue;
        const doomed = join(directory, `${randomUUID()}.tmp`);
        try {
          // At once, so that nobody finds a root that is half gone.
          renameSync(path, doomed);
        } catch (error) {
          if (systemCode(error) === 'ENOENT') continue;
          throw error;
        }
        busy.add(doomed);
        await removeTree(doomed).finally(() => busy.delete(doomed));
      }
    },
  };

  function unpackAll(path: string, image: ReadImage, location: RepositoryLocation, call: Call) {
    return pRetry(() => unpack(path, image, location, call), {
      retries: 4,
      minTimeout: 300,
      maxTimeout: 5_000,
      randomize: true,
      signal: call.signal,
      shouldRetry: ({ error }) => isCygniError(error) && error.retryable,
    });
  }

  async function unpack(
    path: string,
    image: ReadImage,
    location: RepositoryLocation,
    call: Call,
  ): Promise<string> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const temporary = join(directory, `${randomUUID()}.tmp`);
    busy.add(temporary);
    try {
      await mkdir(temporary, { mode: 0o755 });
      const budget: UnpackBudget = { bytes: maximumBytes, entries: maximumEntries };
      const diffIds = image.config.rootfs.diff_ids;
      if (diffIds.length !== image.manifest.layers.length) {
        throw new CygniError('integrity', 'image config and manifest name different layers');
      }
      for (const [index, descriptor] of image.manifest.layers.entries()) {
        const content = await images.getBlob(location, descriptor.digest, call);
        const layer = { descriptor, diffId: diffIds[index] ?? '', content };
        await unpackLayer(temporary, layer, { ids, budget, signal: call.signal });
      }
      await prepareRoot(temporary, image.config.config?.WorkingDir ?? '', ids);
      await rename(temporary, path);
      return path;
    } finally {
      await removeTree(temporary).finally(() => busy.delete(temporary));
    }
  }
}

/** Makes the places where the launcher mounts and writes plain ones, so that no link of the image is followed there. */
async function prepareRoot(root: string, workingDirectory: string, ids: IdMap): Promise<void> {
  const own = async (path: string) => {
    if (ids.kind === 'range') await lchown(path, ids.first, ids.first);
  };
  await own(root);
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'etc']) {
    const path = join(root, name);
    if ((await statOrNull(path))?.isDirectory()) continue;
    await removeTree(path);
    await mkdir(path, { mode: 0o755 });
    await own(path);
  }
  for (const name of ['hosts', 'resolv.conf']) {
    const path = join(root, 'etc', name);
    if ((await statOrNull(path))?.isFile()) continue;
    await removeTree(path);
    await writeFile(path, '', { flag: 'wx', mode: 0o644 });
    await own(path);
  }
  const parts = splitArchivePath(workingDirectory.replace(/^\/+/, ''));
  await directoryInside({ root, onMade: own }, parts);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
