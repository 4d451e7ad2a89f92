import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { userError } from '../build-fault.ts';
import { detectCompression, looksLikeTar, readDecompressed } from '../files/decompress.ts';
import { readTar, type TarLimits } from '../files/read-tar.ts';
import { resolvePath } from '../files/resolve-path.ts';
import { createDirectory, joinPath, type Node, nodeAt, type Owner } from '../files/tree.ts';
import { checkedName } from '../source/checked-name.ts';
import {
  ensureDirectories,
  ensureDirectoryAt,
  type LayerEdit,
  put,
  removeForReplacement,
} from './layer-edit.ts';

export interface ArchiveRequest {
  /** On disk. */
  readonly archive: string;
  readonly destination: string;
  readonly owner: Owner | null;
  readonly mode: number | null;
  /** An existing directory for the bytes of the files. */
  readonly directory: string;
  readonly limits: TarLimits;
  readonly signal: AbortSignal;
}

/** Whether ADD unpacks this file. @throws BuildFault for archives that this builder cannot read */
export async function isArchive(path: string): Promise<boolean> {
  const compression = await detectCompression(path);
  if (compression === 'bzip2' || compression === 'xz') {
    throw userError(
      `ADD of a file compressed by ${compression} is not supported by the built-in assembler; use gzip or zstd, or COPY to keep it as it is`,
    );
  }
  return looksLikeTar(path, compression);
}

/** Unpacks a tar archive into a directory of the stage. The files' bytes get names of their own, so no name in the archive reaches the disk. */
export async function addArchive(edit: LayerEdit, request: ArchiveRequest): Promise<void> {
  const { archive, destination, owner, signal } = request;
  const target = ensureDirectoryAt(edit, destination, owner ?? { uid: 0, gid: 0 });
  let written = 0;
  await readTar(
    readDecompressed(archive, await detectCompression(archive)),
    request.limits,
    async (header, body) => {
      const name = checkedName(header.name.replace(/^\/+/, ''), new Map());
      if (name === '') return;
      const at = name.lastIndexOf('/');
      const parent = ensureParent(joinPath(target, name.slice(0, Math.max(at, 0))));
      const path = joinPath(parent, name.slice(at + 1));
      const node = await createNode();
      const existing = nodeAt(edit.root, path);
      if (node.kind === 'directory' && existing?.kind === 'directory') {
        put(edit, path, { ...node, children: existing.children });
        return;
      }
      if (existing) removeForReplacement(edit, path);
      put(edit, path, node);

      async function createNode(): Promise<Node> {
        const owned = {
          mode: request.mode ?? (header.mode ?? 0o644) & 0o7777,
          uid: owner?.uid ?? header.uid ?? 0,
          gid: owner?.gid ?? header.gid ?? 0,
        };
        switch (header.type) {
          case 'directory':
            return { ...createDirectory(owned.mode), ...owned };
          case 'symlink':
            return { kind: 'symlink', ...owned, mode: 0o777, target: header.linkname ?? '' };
          case 'link': {
            const linked = nodeAt(
              edit.root,
              joinPath(target, checkedName(header.linkname ?? '', new Map())),
            );
            if (linked?.kind !== 'file') throw userError(`${name} is a link to what is no file`);
            return linked;
          }
          case 'file':
          case 'contiguous-file': {
            const content = join(request.directory, String(written));
            written += 1;
            const file = createWriteStream(content, { flags: 'wx', mode: 0o600 });
            await pipeline(body, file, { signal });
            const size = file.bytesWritten;
            return { kind: 'file', ...owned, size, content: { kind: 'path', path: content } };
          }
          default:
            throw userError(`${name} in the archive is a ${header.type}, which is not supported`);
        }
      }
    },
    signal,
  );

  function ensureParent(path: string): string {
    const resolved = resolvePath(edit.root, path);
    ensureDirectories(edit, resolved, owner ?? { uid: 0, gid: 0 });
    return resolved;
  }
}
