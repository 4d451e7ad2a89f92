import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, lchown, link, lutimes, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { CygniError, type Descriptor, mediaTypes } from '@cygni/core';
import { extract, type Header } from 'tar-stream';
import type { IdMap } from './id-map.ts';
import { directoryInside, splitArchivePath, statOrNull } from './inside-root.ts';
import { removeTree } from './remove-tree.ts';

/** What may still be unpacked of an image; counts down over its layers. */
export interface UnpackBudget {
  bytes: number;
  entries: number;
}

export interface Layer {
  readonly descriptor: Descriptor;
  /** Of the uncompressed tar, from the image's config. */
  readonly diffId: string;
  readonly content: AsyncIterable<Uint8Array>;
}

const whiteout = '.wh.';
const opaque = '.wh..wh..opq';

/**
 * Unpacks one layer over what the earlier ones left in `root`. Nothing is written outside of it.
 * Devices and pipes are left out: every root gets a /dev of its own.
 * @throws `integrity` for content that differs from its digests or would lead out of the root, `too_large`
 */
export async function unpackLayer(
  root: string,
  layer: Layer,
  { ids, budget, signal }: { ids: IdMap; budget: UnpackBudget; signal: AbortSignal },
): Promise<void> {
  const compressed = digestOf(layer.descriptor.digest);
  const plain = digestOf(layer.diffId);
  const tar = extract();
  const decompress = decompressor(layer.descriptor.mediaType);
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      budget.bytes -= chunk.byteLength;
      done(
        budget.bytes < 0 ? new CygniError('too_large', 'image is too large to unpack') : null,
        chunk,
      );
    },
  });
  const reading = decompress
    ? pipeline(layer.content, compressed.pass, decompress, bounded, plain.pass, tar, { signal })
    : pipeline(layer.content, compressed.pass, bounded, plain.pass, tar, { signal });
  // It is awaited below; a failure before that also ends the loop.
  reading.catch(() => {});

  const writer = createEntryWriter(root, ids);
  try {
    for await (const entry of tar) {
      budget.entries -= 1;
      if (budget.entries < 0) throw new CygniError('too_large', 'image has too many files');
      await writer.write(entry.header, entry);
      entry.resume();
    }
    await reading;
    await writer.finish();
  } catch (error) {
    tar.destroy();
    // The reader knows what the source said; the loop may only know that its stream ended.
    const cause = await reading.then(
      () => error,
      (failure: unknown) => (isPremature(failure) ? error : failure),
    );
    throw asIntegrity(cause, signal);
  }
  compressed.verify();
  plain.verify();
}

function createEntryWriter(root: string, ids: IdMap) {
  const directoryModes = new Map<string, number>();
  const made = new Set<string>();
  const own = async (path: string, uid: number, gid: number) => {
    if (ids.kind === 'range') await lchown(path, hostId(ids, uid), hostId(ids, gid));
  };
  const inside = {
    root,
    onMade: async (path: string) => {
      made.add(path);
      await own(path, 0, 0);
    },
  };

  return {
    async write(header: Header, content: AsyncIterable<unknown>) {
      const parts = splitArchivePath(header.name);
      const name = parts.pop();
      if (name === undefined) {
        if (header.type === 'directory') directoryModes.set(root, header.mode);
        return;
      }
      if (name.startsWith(whiteout)) {
        await hide(parts, name);
        return;
      }
      const path = join(await directoryInside(inside, parts), name);
      const existing = await statOrNull(path);
      const keepsDirectory = header.type === 'directory' && existing?.isDirectory();
      if (existing && !keepsDirectory) {
        await removeTree(path);
        directoryModes.delete(path);
      }
      if (await create(path, header, content, keepsDirectory === true)) made.add(path);
    },

    /** Modes of directories come last: one that is not writable would refuse its own content. */
    async finish() {
      // With one id for everything, that id must get in, for the next layer and to delete it all one day.
      const always = ids.kind === 'single' ? 0o700 : 0;
      for (const [path, mode] of directoryModes) {
        if ((await statOrNull(path))?.isDirectory()) await chmod(path, (mode & 0o1777) | always);
      }
    },
  };

  async function create(
    path: string,
    header: Header,
    content: AsyncIterable<unknown>,
    exists: boolean,
  ): Promise<boolean> {
    switch (header.type) {
      case 'directory':
        if (!exists) await mkdir(path, { mode: 0o700 });
        await own(path, header.uid, header.gid);
        directoryModes.set(path, header.mode);
        return true;
      case 'file':
      case 'contiguous-file':
        await pipeline(content, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
        await own(path, header.uid, header.gid);
        // Set-id bits would have no effect in a root that is mounted `nosuid`.
        await chmod(path, header.mode & 0o777);
        await lutimes(path, header.mtime, header.mtime);
        return true;
      case 'symlink':
        await symlink(header.linkname, path);
        await own(path, header.uid, header.gid);
        return true;
      case 'link': {
        const target = splitArchivePath(header.linkname);
        const last = target.pop();
        if (last === undefined) throw new CygniError('integrity', 'layer links to its root');
        const source = join(await directoryInside(inside, target), last);
        const found = await statOrNull(source);
        if (!found || found.isDirectory()) {
          throw new CygniError('integrity', 'layer has a hard link to what is not a file of it');
        }
        await link(source, path);
        return true;
      }
      case 'block-device':
      case 'character-device':
      case 'fifo':
        return false;
      default:
        throw new CygniError('integrity', 'layer holds an entry of an unknown type');
    }
  }

  /** Removes what earlier layers put there; what this layer itself holds stays. */
  async function hide(parts: readonly string[], name: string): Promise<void> {
    const directory = await directoryInside(inside, parts);
    if (name === opaque) {
      await hideChildren(directory);
      return;
    }
    const hidden = name.slice(whiteout.length);
    if (hidden === '' || hidden === '.' || hidden === '..' || hidden.startsWith(whiteout)) return;
    const path = join(directory, hidden);
    if (!made.has(path)) await removeTree(path);
  }

  async function hideChildren(directory: string): Promise<void> {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (!made.has(path)) await removeTree(path);
      else if (entry.isDirectory()) await hideChildren(path);
    }
  }
}

function hostId({ first, count }: { first: number; count: number }, id: number): number {
  return first + (id >= 0 && id < count ? id : count - 2);
}

function decompressor(mediaType: string): Transform | null {
  switch (mediaType) {
    case mediaTypes.ociLayer:
      return null;
    case mediaTypes.ociLayerGzip:
    case mediaTypes.dockerLayerGzip:
      return createGunzip();
    case mediaTypes.ociLayerZstd:
      if (typeof createZstdDecompress === 'function') return createZstdDecompress();
      throw new CygniError('unsupported', 'this Node.js cannot unpack layers of zstd');
    default:
      throw new CygniError('unsupported', `layers of type ${mediaType} cannot be unpacked`);
  }
}

function digestOf(expected: string): { readonly pass: Transform; verify(): void } {
  const hash = createHash('sha256');
  return {
    pass: new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    }),
    verify() {
      const found = `sha256:${hash.digest('hex')}`;
      if (found !== expected) {
        throw new CygniError('integrity', `layer is ${found}, but ${expected} was expected`);
      }
    },
  };
}

function isPremature(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** Errors of the archive's own format have no code; those of the system and the source keep theirs. */
function asIntegrity(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || !(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code !== '' && !code.startsWith('Z_') && !code.startsWith('ZSTD')) return error;
  return new CygniError('integrity', `layer cannot be read: ${error.message}`, { cause: error });
}
