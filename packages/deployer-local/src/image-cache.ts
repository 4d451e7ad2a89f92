import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Call,
  digestSchema,
  hostPlatform,
  type ImageClient,
  imageConfigSchema,
  imageManifestSchema,
  type ReadImage,
  type RepositoryLocation,
  readImage,
} from '@cygni/core';
import { z } from 'zod';
import { systemCode } from './map-error.ts';
import { replaceFile } from './state-file.ts';

const entrySchema = z.strictObject({
  digest: digestSchema,
  manifest: imageManifestSchema,
  config: imageConfigSchema,
});

/** Keeps the manifests and configs of images, so that what ran here once starts without its registry. */
export interface ImageCache {
  /** @param digest of a manifest or of an index. @throws as {@link readImage} */
  read(location: RepositoryLocation, digest: string, call: Call): Promise<ReadImage>;
  prune(isKept: (digest: string) => boolean): Promise<void>;
}

export function createImageCache(directory: string, images: ImageClient): ImageCache {
  const nameOf = (digest: string) => `${digest.replace(':', '-')}.json`;
  return {
    async read(location, digest, call) {
      const path = join(directory, nameOf(digest));
      const cached = await readEntry(path);
      if (cached) return cached;
      const { manifest, config, ...found } = await readImage(
        images,
        location,
        digest,
        hostPlatform(),
        call,
      );
      const image = { digest: found.digest, manifest, config };
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await replaceFile(path, JSON.stringify(image));
      return image;
    },
    async prune(isKept) {
      for (const name of await readdir(directory).catch(() => [])) {
        // A file that is being written has another ending.
        if (!name.endsWith('.json')) continue;
        const digest = name.slice(0, -'.json'.length).replace('-', ':');
        if (!isKept(digest)) await rm(join(directory, name), { force: true });
      }
    },
  };
}

async function readEntry(path: string): Promise<ReadImage | undefined> {
  try {
    return entrySchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
