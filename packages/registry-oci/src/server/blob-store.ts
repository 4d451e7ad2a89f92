import { type FileHandle, open, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  makeDirectory,
  publish,
  removeIfPresent,
  sizeIfPresent,
  syncDirectory,
  unlessMissing,
  writeAtomically,
} from './files.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { Layout } from './layout.ts';

/** Content by digest, and which repository may see it. Each digest is changed by one at a time. */
export interface BlobStore {
  /** Bytes; undefined unless this repository has the blob. */
  size(repository: string, digest: string): Promise<number | undefined>;
  /** Like `size`, for a pusher who asks: the answer holds for the whole grace period from now. */
  renew(repository: string, digest: string): Promise<number | undefined>;
  /** Takes a verified, synced file over. */
  keepFile(repository: string, digest: string, temporary: string): Promise<void>;
  /** Keeps content that is in nobody's `blobs`: a manifest. */
  keepContent(digest: string, bytes: Uint8Array): Promise<void>;
  /** Returns whether `from` had it. */
  mount(repository: string, from: string, digest: string): Promise<boolean>;
  /** Returns whether the repository had it. The content goes with the next collection. */
  unlink(repository: string, digest: string): Promise<boolean>;
  /** To be closed by the caller; content that is being read stays readable when it is collected. */
  open(digest: string): Promise<FileHandle | undefined>;
}

export function createBlobStore(layout: Layout, lock: KeyedLock): BlobStore {
  async function link(repository: string, digest: string): Promise<void> {
    const file = layout.blobLink(repository, digest);
    const known = await sizeIfPresent(file);
    if (known === undefined) {
      await makeDirectory(path.dirname(file));
      await writeFile(file, '');
      await syncDirectory(path.dirname(file));
    }
    await touch(repository, digest);
  }

  /** The link first: the content must never seem older than a link to it, or it would be collected before. */
  async function touch(repository: string, digest: string): Promise<void> {
    for (const file of [layout.blobLink(repository, digest), layout.blob(digest)]) {
      const now = new Date();
      await unlessMissing(utimes(file, now, now));
    }
  }

  async function size(repository: string, digest: string): Promise<number | undefined> {
    const linked = await sizeIfPresent(layout.blobLink(repository, digest));
    return linked === undefined ? undefined : sizeIfPresent(layout.blob(digest));
  }

  return {
    size,

    renew: (repository, digest) =>
      lock.run(digest, async () => {
        const found = await size(repository, digest);
        if (found !== undefined) await touch(repository, digest);
        return found;
      }),

    keepFile: (repository, digest, temporary) =>
      lock.run(digest, async () => {
        const file = layout.blob(digest);
        if ((await sizeIfPresent(file)) === undefined) await publish(temporary, file);
        else await rm(temporary, { force: true });
        await link(repository, digest);
      }),

    keepContent: (digest, bytes) =>
      lock.run(digest, async () => {
        const file = layout.blob(digest);
        const now = new Date();
        if ((await sizeIfPresent(file)) !== undefined) await utimes(file, now, now);
        else await writeAtomically(layout.scratch, file, bytes);
      }),

    mount: (repository, from, digest) =>
      lock.run(digest, async () => {
        if ((await size(from, digest)) === undefined) return false;
        await link(repository, digest);
        return true;
      }),

    unlink: (repository, digest) =>
      lock.run(digest, () => removeIfPresent(layout.blobLink(repository, digest))),

    open: (digest) => unlessMissing(open(layout.blob(digest), 'r')),
  };
}
