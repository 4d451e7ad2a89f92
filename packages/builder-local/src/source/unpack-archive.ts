import { createWriteStream } from 'node:fs';
import { chmod, link, mkdir, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Header } from 'tar-stream';
import { throwIfAborted, userError } from '../build-fault.ts';
import { detectCompression, readDecompressed } from '../files/decompress.ts';
import { readTar } from '../files/read-tar.ts';
import { createDirectory, type DirectoryNode, type Node, nodeAt } from '../files/tree.ts';
import type { Limits } from '../options.ts';
import { checkedName } from './checked-name.ts';

const freeRatioBytes = 64 * 1024 ** 2;

/**
 * Unpacks a gzip-compressed tar archive into a new directory, and never writes outside of it.
 * @returns the tree, with the modes of the archive and owned by root; its files are those on disk
 * @throws BuildFault for hostile or malformed archives
 */
export async function unpackArchive(
  archive: string,
  directory: string,
  limits: Limits,
  signal: AbortSignal,
): Promise<DirectoryNode> {
  if ((await detectCompression(archive)) !== 'gzip') {
    throw userError('the source archive is not compressed by gzip');
  }
  const { size } = await stat(archive);
  const bytes = Math.min(limits.contextBytes, Math.max(freeRatioBytes, size * limits.ratio));
  const root = createDirectory();
  const spellings = new Map<string, string>();
  await mkdir(directory, { mode: 0o700 });

  await readTar(
    readDecompressed(archive, 'gzip'),
    { ...limits, bytes },
    async (header, body) => {
      const name = checkedName(header.name, spellings);
      if (name === '') return;
      try {
        await unpackEntry(name, header, body);
      } catch (error) {
        throwIfAborted(signal);
        throw mapWriteError(error, name);
      }
    },
    signal,
  );
  await restoreDirectoryModes(root, directory);
  return root;

  async function unpackEntry(
    name: string,
    header: Header,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { parent, base } = await enterParent(name);
    const path = join(directory, name);
    const existing = parent.children.get(base);
    const mode = (header.mode ?? 0o644) & 0o7777;
    if (header.type === 'directory') {
      if (existing && existing.kind !== 'directory') throw userError(`${name} is there twice`);
      if (!existing) await mkdir(path, { mode: 0o700 });
      const children = existing?.children ?? new Map<string, Node>();
      parent.children.set(base, { kind: 'directory', mode, uid: 0, gid: 0, children });
      return;
    }
    if (existing?.kind === 'directory') throw userError(`${name} is there twice`);
    if (existing) await rm(path);
    parent.children.set(base, await createNode(name, path, mode, header, body));
  }

  async function createNode(
    name: string,
    path: string,
    mode: number,
    header: Header,
    body: AsyncIterable<Uint8Array>,
  ): Promise<Node> {
    switch (header.type) {
      case 'file':
      case 'contiguous-file': {
        // Exclusive: what is there already, a link above all, is never written through.
        const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
        await pipeline(body, file, { signal });
        await chmod(path, mode | 0o400);
        const content = { kind: 'path', path } as const;
        return { kind: 'file', mode, uid: 0, gid: 0, size: file.bytesWritten, content };
      }
      case 'symlink': {
        const target = header.linkname ?? '';
        if (target === '' || target.includes('\0')) throw userError(`${name} is a malformed link`);
        await symlink(target, path);
        return { kind: 'symlink', mode: 0o777, uid: 0, gid: 0, target };
      }
      case 'link': {
        const target = checkedName(header.linkname ?? '', new Map());
        const node = nodeAt(root, target);
        if (node?.kind !== 'file')
          throw userError(`${name} is a link to ${target}, which is no file`);
        await link(join(directory, target), path);
        return node;
      }
      default:
        throw userError(
          `${name} is a ${header.type}; only files, directories and links are allowed`,
        );
    }
  }

  async function enterParent(name: string) {
    const parts = name.split('/');
    const base = parts.pop() ?? '';
    let parent = root;
    const walked: string[] = [];
    for (const part of parts) {
      walked.push(part);
      const child = parent.children.get(part);
      if (child && child.kind !== 'directory') {
        throw userError(`${name} would be written through ${walked.join('/')}`);
      }
      const next = child ?? createDirectory();
      if (!child) await mkdir(join(directory, ...walked), { mode: 0o700 });
      parent.children.set(part, next);
      parent = next;
    }
    return { parent, base };
  }
}

/** Last, because a directory may be one that its owner cannot write to. */
async function restoreDirectoryModes(root: DirectoryNode, directory: string): Promise<void> {
  for (const [name, node] of root.children) {
    if (node.kind !== 'directory') continue;
    await restoreDirectoryModes(node, join(directory, name));
    await chmod(join(directory, name), node.mode | 0o700);
  }
}

function mapWriteError(error: unknown, name: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENAMETOOLONG' ? userError(`${name} is too long a name`, error) : error;
}
