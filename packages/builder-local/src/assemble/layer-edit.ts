import { userError } from '../build-fault.ts';
import { putNode, resolvePath } from '../files/resolve-path.ts';
import {
  createDirectory,
  type DirectoryNode,
  joinPath,
  type Node,
  nodeAt,
  type Owner,
  splitPath,
} from '../files/tree.ts';

/** A stage's file system, and what the instruction at hand has changed in it. */
export interface LayerEdit {
  readonly root: DirectoryNode;
  /** By path; becomes the layer. */
  readonly changes: Map<string, Node>;
}

export function put(edit: LayerEdit, path: string, node: Node): void {
  putNode(edit.root, path, node);
  edit.changes.set(path, node);
}

/** Creates what is missing of a directory and its parents. `path` has no links in it. */
export function ensureDirectories(edit: LayerEdit, path: string, owner: Owner): void {
  const walked: string[] = [];
  for (const part of splitPath(path)) {
    walked.push(part);
    const current = walked.join('/');
    const node = nodeAt(edit.root, current);
    if (node?.kind === 'directory') continue;
    if (node) throw userError(`/${current} is not a directory`);
    put(edit, current, createDirectory(0o755, owner));
  }
}

/** Creates a directory where `path` leads to, links followed. @returns where that is */
export function ensureDirectoryAt(edit: LayerEdit, path: string, owner: Owner): string {
  const resolved = resolvePath(edit.root, path);
  ensureDirectories(edit, resolved, owner);
  return resolved;
}

/** Takes a node out of the way of another. The layer needs no mark for it: the new node has the same path. */
export function removeForReplacement(edit: LayerEdit, path: string): void {
  const parts = [...splitPath(path)];
  const name = parts.pop();
  const parent = nodeAt(edit.root, joinPath(...parts));
  if (name === undefined || parent?.kind !== 'directory') return;
  parent.children.delete(name);
  for (const changed of edit.changes.keys()) {
    if (changed === path || changed.startsWith(`${path}/`)) edit.changes.delete(changed);
  }
}
