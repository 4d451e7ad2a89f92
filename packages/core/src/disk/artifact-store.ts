import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, opendir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArtifactKey, parseArtifactPrefix } from '../artifact/artifact-key.ts';
import { receiveArtifact } from '../artifact/receive-artifact.ts';
import type { ArtifactInfo, ArtifactStore } from '../contracts/artifact-store.ts';
import { type Call, SPEC_VERSION } from '../contracts/call.ts';
import { abortedError, CygniError, isCygniError } from '../errors.ts';
import { ownFolder, removeAbandoned } from './incoming.ts';

/**
 * Artifacts as files below `directory`, which several processes may share. A file appears under its key only
 * once it is whole and on the disk.
 */
export function createDiskArtifactStore(options: { readonly directory: string }): ArtifactStore {
  const root = join(options.directory, 'artifacts');
  const incoming = join(options.directory, 'incoming');
  const unfinished = ownFolder(incoming);
  let closed = false;

  function assertLive({ signal }: Call): void {
    if (closed) throw new CygniError('closed', 'the artifact store is closed');
    if (signal.aborted) throw abortedError(signal);
  }

  const pathOf = (key: string) => join(root, parseArtifactKey(key));

  async function unsupported(_key: string, _options: unknown, call: Call): Promise<never> {
    assertLive(call);
    throw new CygniError('unsupported', 'artifacts on disk have no address');
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'disk',
    supports: { presign: false, ifAbsent: true },
    async open(call) {
      assertLive(call);
      await onDisk(async () => {
        await mkdir(incoming, { recursive: true, mode: 0o700 });
        await mkdir(root, { recursive: true, mode: 0o700 });
        await removeAbandoned(incoming);
      });
    },
    async close() {
      closed = true;
      // Not empty while a put is still running; then whoever opens the directory next removes it.
      await rmdir(unfinished).catch(() => {});
    },
    async put(key, body, { maximumBytes, ifAbsent = false }, call) {
      assertLive(call);
      const path = pathOf(key);
      const temporary = join(unfinished, randomUUID());
      const received = receiveArtifact(body, { maximumBytes, signal: call.signal });
      try {
        await write(temporary, received.chunks);
        await onDisk(() => publish(temporary, path, ifAbsent), key);
      } finally {
        await rm(temporary, { force: true });
      }
      return { key, ...received.measure() };
    },
    async get(key, call) {
      assertLive(call);
      const path = pathOf(key);
      const found = await present(stat(path));
      if (!found?.isFile()) throw new CygniError('not_found', `no artifact ${key}`);
      return read(path, key);
    },
    async delete(key, call) {
      assertLive(call);
      const path = pathOf(key);
      const found = await present(stat(path));
      if (found?.isFile()) await present(unlink(path));
    },
    async *list(prefix, call) {
      const start = parseArtifactPrefix(prefix);
      assertLive(call);
      const folder = start.slice(0, start.lastIndexOf('/') + 1);
      for await (const found of walk(root, folder)) {
        assertLive(call);
        if (found.key.startsWith(start)) yield found;
      }
    },
    presignGet: unsupported,
    presignPut: unsupported,
  };
}

async function write(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  await onDisk(() => mkdir(dirname(path), { recursive: true, mode: 0o700 }));
  await using file = await onDisk(() => open(path, 'wx', 0o600));
  for await (const chunk of chunks) await onDisk(() => file.writeFile(chunk));
  await onDisk(() => file.sync());
}

async function publish(temporary: string, path: string, ifAbsent: boolean): Promise<void> {
  const folder = dirname(path);
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  // A rename replaces what is there, a link does not.
  await (ifAbsent ? link(temporary, path) : rename(temporary, path));
  // The name is on the disk only once its folder is, and that of a new folder.
  for (let at = folder; ; at = dirname(at)) {
    await using opened = await open(at);
    await opened.sync();
    if (made === undefined || at === dirname(made)) return;
  }
}

async function* read(path: string, key: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path);
  } catch (error) {
    throw mapError(error, key);
  }
}

async function* walk(root: string, folder: string): AsyncGenerator<ArtifactInfo> {
  const entries = await present(opendir(join(root, folder)));
  if (!entries) return;
  for await (const entry of entries) {
    const key = folder + entry.name;
    if (entry.isDirectory()) yield* walk(root, `${key}/`);
    if (!entry.isFile()) continue;
    const found = await present(stat(join(root, key)));
    if (found) yield { key, sizeBytes: found.size };
  }
}

/** Undefined: it is not there, or was removed while it was looked for. */
async function present<Value>(looking: Promise<Value>): Promise<Value | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined;
    throw mapError(error);
  }
}

/** @param key given where the path is that of an artifact, so that what is wrong with it is the caller's affair */
async function onDisk<Value>(work: () => Promise<Value>, key?: string): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw mapError(error, key);
  }
}

function mapError(error: unknown, key?: string): CygniError {
  if (isCygniError(error)) return error;
  const options = { cause: error };
  const code = codeOf(error);
  if (key !== undefined && code === 'ENOENT') {
    return new CygniError('not_found', `no artifact ${key}`, options);
  }
  if (key !== undefined && code === 'EEXIST') {
    return new CygniError('conflict', `artifact ${key} is there already`, options);
  }
  if (key !== undefined && ['EISDIR', 'ENOTDIR', 'ENOTEMPTY'].includes(code)) {
    return new CygniError('conflict', `artifact ${key} is the folder of another`, options);
  }
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const what = full ? 'the disk of the artifacts is full' : 'the artifact directory cannot be used';
  return new CygniError('unavailable', what, options);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
