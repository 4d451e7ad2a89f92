import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, truncate } from 'node:fs/promises';
import path from 'node:path';
import { algorithmOf, type DigestAlgorithm } from './digest.ts';
import { ageMsIfPresent, namesIn, removeIfPresent, sizeIfPresent } from './files.ts';
import type { Layout } from './layout.ts';
import { SpecFailure } from './spec-failure.ts';
import { writeStream } from './write-stream.ts';

/** Blobs on their way in. What has arrived of one survives a broken connection and a restart. */
export interface UploadStore {
  begin(repository: string): Promise<string>;
  /** Bytes so far. @throws SpecFailure if there is no such upload */
  offset(repository: string, id: string): Promise<number>;
  /**
   * Adds to the end and returns the new offset.
   * @param range where the caller says that its piece goes. @throws SpecFailure 416 if that is not the end
   */
  append(
    repository: string,
    id: string,
    source: AsyncIterable<Uint8Array>,
    range: { readonly start: number; readonly length: number } | undefined,
  ): Promise<number>;
  /** Verifies and syncs the content and hands its file to `keep`, which moves it away. Wrong content is dropped. */
  finish(
    repository: string,
    id: string,
    digest: string,
    keep: (file: string) => Promise<void>,
  ): Promise<void>;
  cancel(repository: string, id: string): Promise<void>;
  /** Removes what has had no new byte for so long. */
  dropOlderThan(ageMs: number): Promise<number>;
}

interface Progress {
  readonly hash: Hash;
  readonly offset: number;
}

/** Beyond this, or after a restart, content is read once more to be hashed. */
const maximumHashes = 1000;

export function createUploadStore(layout: Layout, maximumBytes: number): UploadStore {
  const busy = new Set<string>();
  const hashes = new Map<string, Progress>();

  /** An upload has one writer: a second one at once is a client's mistake, not something to queue for. */
  async function alone<Value>(file: string, task: () => Promise<Value>): Promise<Value> {
    if (busy.has(file)) {
      throw new SpecFailure('BLOB_UPLOAD_INVALID', 'the upload is being written', { status: 409 });
    }
    busy.add(file);
    try {
      return await task();
    } finally {
      busy.delete(file);
    }
  }

  async function sizeOf(file: string): Promise<number> {
    const size = await sizeIfPresent(file);
    if (size === undefined) throw new SpecFailure('BLOB_UPLOAD_UNKNOWN', 'no such upload');
    return size;
  }

  function remember(file: string, progress: Progress): void {
    if (hashes.size >= maximumHashes) {
      const oldest = hashes.keys().next();
      if (!oldest.done) hashes.delete(oldest.value);
    }
    hashes.set(file, progress);
  }

  /** Takes the hash of exactly the first `size` bytes out, so that a failure on the way leaves none behind. */
  function takeHash(file: string, size: number): Hash | undefined {
    const known = hashes.get(file);
    hashes.delete(file);
    if (known?.offset === size) return known.hash;
    return size === 0 ? createHash('sha256') : undefined;
  }

  async function remove(file: string): Promise<boolean> {
    hashes.delete(file);
    return removeIfPresent(file);
  }

  return {
    async begin(repository) {
      const id = randomUUID();
      const handle = await open(layout.upload(repository, id), 'wx');
      await handle.close();
      return id;
    },

    offset: (repository, id) => sizeOf(layout.upload(repository, id)),

    append(repository, id, source, range) {
      const file = layout.upload(repository, id);
      return alone(file, async () => {
        const size = await sizeOf(file);
        if (range && range.start !== size) {
          throw new SpecFailure('BLOB_UPLOAD_INVALID', `the next byte is ${size}`, {
            status: 416,
            headers: { range: `0-${Math.max(0, size - 1)}` },
          });
        }
        const hash = takeHash(file, size);
        let offset = size;
        async function* counted(): AsyncGenerator<Uint8Array> {
          for await (const chunk of source) {
            offset += chunk.byteLength;
            if (offset > maximumBytes) throw tooLarge(maximumBytes);
            hash?.update(chunk);
            yield chunk;
          }
        }
        await using handle = await open(file, 'r+');
        await writeStream(handle, size, counted());
        if (range && offset - size !== range.length) {
          await truncate(file, size);
          throw new SpecFailure('SIZE_INVALID', 'the piece is not as long as Content-Range says');
        }
        if (hash) remember(file, { hash, offset });
        return offset;
      });
    },

    finish(repository, id, digest, keep) {
      const file = layout.upload(repository, id);
      return alone(file, async () => {
        const algorithm = algorithmOf(digest);
        const known = takeHash(file, await sizeOf(file));
        // Which algorithm is wanted shows only now; the one nearly everybody uses is computed on the way.
        const hash = algorithm === 'sha256' && known ? known : await hashFile(algorithm, file);
        const actual = `${algorithm}:${hash.digest('hex')}`;
        if (actual !== digest) {
          await remove(file);
          throw new SpecFailure('DIGEST_INVALID', `the content is ${actual}`);
        }
        const handle = await open(file, 'r+');
        try {
          await handle.sync();
        } finally {
          await handle.close();
        }
        // Still alone: nothing may be appended between the check and the move.
        await keep(file);
      });
    },

    cancel(repository, id) {
      const file = layout.upload(repository, id);
      return alone(file, async () => {
        await sizeOf(file);
        await remove(file);
      });
    },

    async dropOlderThan(ageMs) {
      let dropped = 0;
      for (const name of await namesIn(layout.uploads)) {
        const file = path.join(layout.uploads, name);
        const age = await ageMsIfPresent(file);
        if (age === undefined || age <= ageMs || busy.has(file)) continue;
        if (await remove(file)) dropped += 1;
      }
      return dropped;
    },
  };
}

export function tooLarge(maximumBytes: number): SpecFailure {
  return new SpecFailure('SIZE_INVALID', `over ${maximumBytes} bytes`, { status: 413 });
}

async function hashFile(algorithm: DigestAlgorithm, file: string): Promise<Hash> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash;
}
