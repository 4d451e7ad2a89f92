import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { ArtifactInfo, ArtifactStore } from '../contracts/artifact-store.ts';
import { SPEC_VERSION } from '../contracts/call.ts';
import { abortedError, CygniError } from '../errors.ts';

const keySchema = z
  .string()
  .max(512)
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/);

/** Artifacts as files below `directory`. A file appears under its key only once it is whole and on the disk. */
export function createDiskArtifactStore(options: { readonly directory: string }): ArtifactStore {
  const root = join(options.directory, 'artifacts');
  const incoming = join(options.directory, 'incoming');

  function pathOf(key: string): string {
    const parsed = keySchema.safeParse(key);
    if (!parsed.success) throw new CygniError('invalid_input', 'malformed artifact key');
    return join(root, parsed.data);
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'disk',
    supports: { presign: false },
    async open() {
      // What is in `incoming` was being written when an earlier process died.
      await rm(incoming, { recursive: true, force: true });
      await mkdir(incoming, { recursive: true, mode: 0o700 });
      await mkdir(root, { recursive: true, mode: 0o700 });
    },
    async close() {},
    async put(key, body, { maximumBytes }, { signal }) {
      const path = pathOf(key);
      const temporary = join(incoming, randomUUID());
      const hash = createHash('sha256');
      let sizeBytes = 0;
      try {
        await using file = await open(temporary, 'wx', 0o600);
        for await (const chunk of body) {
          if (signal.aborted) throw abortedError(signal);
          sizeBytes += chunk.byteLength;
          if (sizeBytes > maximumBytes) {
            throw new CygniError('too_large', `over ${maximumBytes} bytes`);
          }
          hash.update(chunk);
          await file.writeFile(chunk);
        }
        await file.sync();
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      return { key, sizeBytes, sha256: hash.digest('hex') };
    },
    async get(key) {
      const path = pathOf(key);
      try {
        await stat(path);
      } catch (cause) {
        const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
        if (missing) throw new CygniError('not_found', `no artifact ${key}`, { cause });
        throw new CygniError('unavailable', 'the artifact directory cannot be read', { cause });
      }
      return createReadStream(path);
    },
    async delete(key) {
      await rm(pathOf(key), { force: true });
    },
    async *list(prefix): AsyncGenerator<ArtifactInfo> {
      for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        const key = path.slice(root.length + 1);
        if (key.startsWith(prefix)) yield { key, sizeBytes: (await stat(path)).size };
      }
    },
    async presignGet() {
      throw new CygniError('unsupported', 'artifacts on disk have no address');
    },
    async presignPut() {
      throw new CygniError('unsupported', 'artifacts on disk have no address');
    },
  };
}
