import { userError } from '../build-fault.ts';
import type { Filter } from '../files/dockerignore.ts';
import { compileGlob, hasWildcard } from '../files/glob.ts';
import { followPath, resolvePath } from '../files/resolve-path.ts';
import {
  byName,
  type DirectoryNode,
  joinPath,
  type Node,
  nodeAt,
  type Owner,
  splitPath,
} from '../files/tree.ts';
import { ensureDirectories, ensureDirectoryAt, type LayerEdit, put } from './layer-edit.ts';

export interface CopyRequest {
  readonly from: DirectoryNode;
  readonly source: string;
  /** Absolute; a `/` at its end makes it a directory. */
  readonly destination: string;
  /** Null: the owner that each file has. */
  readonly owner: Owner | null;
  /** Null: the mode that each file has. */
  readonly mode: number | null;
  readonly excluded: Filter | null;
}

const root: Owner = { uid: 0, gid: 0 };

/** The paths that a source names: itself, or what its wildcards match; links in it are not followed. */
export function matchSources(from: DirectoryNode, source: string): readonly string[] {
  if (!hasWildcard(source)) return [splitPath(source).join('/')];
  const parts = splitPath(source);
  const wild = parts.findIndex((part) => hasWildcard(part));
  const start = resolvePath(from, parts.slice(0, wild).join('/'));
  let found = [start];
  for (const part of parts.slice(wild)) {
    const matches = compileGlob(part, { doubleStar: false });
    found = found.flatMap((path) => {
      const node = nodeAt(from, path);
      if (node?.kind !== 'directory') return [];
      return [...node.children]
        .sort(byName)
        .filter(([name]) => matches(name))
        .map(([name]) => joinPath(path, name));
    });
  }
  return found;
}

/** Copies one file, or the contents of one directory, as BuildKit does. @throws BuildFault */
export function copyFiles(edit: LayerEdit, request: CopyRequest): void {
  const { from, source, destination, owner } = request;
  const node = followPath(from, source);
  if (!node) throw userError(`/${splitPath(source).join('/')} was not found`);
  const isDirectory = destination.endsWith('/');
  const parent = isDirectory ? destination : destination.slice(0, destination.lastIndexOf('/'));
  ensureDirectoryAt(edit, parent, owner ?? root);

  let target = resolvePath(edit.root, destination);
  const existing = nodeAt(edit.root, target);
  if (node.kind === 'directory') {
    if (!existing) ensureDirectories(edit, target, owner ?? root);
    copyDirectory(edit, request, node, target, '');
    return;
  }
  const name = splitPath(source).at(-1) ?? '';
  if (request.excluded?.(name)) return;
  if (existing?.kind === 'directory') target = joinPath(target, name);
  copyLeaf(edit, request, node, target);
}

function copyDirectory(
  edit: LayerEdit,
  request: CopyRequest,
  directory: DirectoryNode,
  target: string,
  relative: string,
): boolean {
  if (nodeAt(edit.root, target)?.kind !== 'directory') {
    throw userError(`cannot copy a directory over /${target}, which is none`);
  }
  let copied = false;
  for (const [name, node] of [...directory.children].sort(byName)) {
    const path = joinPath(target, name);
    const inner = joinPath(relative, name);
    const excluded = request.excluded?.(inner) ?? false;
    if (node.kind !== 'directory') {
      if (excluded) continue;
      copyLeaf(edit, request, node, path);
    } else {
      const before = nodeAt(edit.root, path);
      const children = before?.kind === 'directory' ? before.children : new Map<string, Node>();
      if (before && before.kind !== 'directory') {
        throw userError(`cannot copy a directory over /${path}, which is none`);
      }
      const placed = { ...node, ...changedOwner(request), ...changedMode(request), children };
      const previous = edit.changes.get(path);
      put(edit, path, placed);
      const hasCopied = copyDirectory(edit, request, node, path, inner);
      if (excluded && !hasCopied) {
        undo(edit, path, before, previous);
        continue;
      }
    }
    copied = true;
  }
  return copied;
}

function undo(edit: LayerEdit, path: string, before: Node | undefined, previous: Node | undefined) {
  const parts = path.split('/');
  const parent = nodeAt(edit.root, parts.slice(0, -1).join('/'));
  if (parent?.kind !== 'directory') return;
  if (before) parent.children.set(parts.at(-1) ?? '', before);
  else parent.children.delete(parts.at(-1) ?? '');
  if (previous) edit.changes.set(path, previous);
  else edit.changes.delete(path);
}

function copyLeaf(edit: LayerEdit, request: CopyRequest, node: Node, target: string): void {
  if (nodeAt(edit.root, target)?.kind === 'directory') {
    throw userError(`cannot replace the directory /${target} by a file`);
  }
  const mode = node.kind === 'symlink' ? {} : changedMode(request);
  put(edit, target, { ...node, ...changedOwner(request), ...mode });
}

function changedOwner({ owner }: CopyRequest): Partial<Owner> {
  return owner ?? {};
}

function changedMode({ mode }: CopyRequest): { readonly mode?: number } {
  return mode === null ? {} : { mode };
}
