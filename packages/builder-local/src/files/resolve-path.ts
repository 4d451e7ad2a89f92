import { userError } from '../build-fault.ts';
import { type DirectoryNode, type Node, nodeAt, splitPath } from './tree.ts';

const maximumLinks = 255;

/**
 * Follows every link in a path as if `root` were the root of the machine, the last component included.
 * What does not exist (yet) is kept as it is written.
 * @returns a path without links, relative to the root
 */
export function resolvePath(root: DirectoryNode, path: string): string {
  const pending = path.split('/').toReversed();
  const resolved: string[] = [];
  let links = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const node = nodeAt(root, [...resolved, part].join('/'));
    if (node?.kind !== 'symlink') {
      resolved.push(part);
      continue;
    }
    links += 1;
    if (links > maximumLinks) throw userError(`too many links in ${path}`);
    if (node.target.startsWith('/')) resolved.length = 0;
    pending.push(...node.target.split('/').toReversed());
  }
  return resolved.join('/');
}

/** The node that a path leads to, links followed. */
export function followPath(root: DirectoryNode, path: string): Node | undefined {
  return nodeAt(root, resolvePath(root, path));
}

/** Puts a node at a path whose parents exist. */
export function putNode(root: DirectoryNode, path: string, node: Node): void {
  const parts = [...splitPath(path)];
  const name = parts.pop();
  const parent = nodeAt(root, parts.join('/'));
  if (name === undefined || parent?.kind !== 'directory') {
    throw userError(`cannot write /${path}: its parent is not a directory`);
  }
  parent.children.set(name, node);
}
