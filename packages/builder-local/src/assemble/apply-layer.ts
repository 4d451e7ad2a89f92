import type { Header } from 'tar-stream';
import { BuildFault } from '../build-fault.ts';
import { resolvePath } from '../files/resolve-path.ts';
import {
  createDirectory,
  type DirectoryNode,
  joinPath,
  type Node,
  nodeAt,
  splitPath,
} from '../files/tree.ts';

const opaque = '.wh..wh..opq';
const whiteout = '.wh.';

/** Applies the entries of one layer to a tree, in order (OCI image-spec, layer). Bytes stay in the layer. */
export function createLayerApplier(root: DirectoryNode, layer: string) {
  let index = -1;
  // What this layer itself has written is spared by an opaque mark, wherever the mark stands.
  const written = new Set<string>();

  function add(header: Header): void {
    index += 1;
    const parts = [...splitPath(header.name)];
    const name = parts.pop();
    if (name === undefined) {
      const { mode, uid, gid } = owned(header);
      Object.assign(root, { mode, uid, gid });
      return;
    }
    const parentPath = resolvePath(root, parts.join('/'));
    const parent = ensureParent(parentPath);
    if (name === opaque) {
      clear(parent, parentPath);
      return;
    }
    if (name.startsWith(whiteout)) {
      parent.children.delete(name.slice(whiteout.length));
      return;
    }
    const path = joinPath(parentPath, name);
    const existing = parent.children.get(name);
    const node = toNode(header, path);
    const keeps = node.kind === 'directory' && existing?.kind === 'directory';
    parent.children.set(name, keeps ? { ...node, children: existing.children } : node);
    written.add(path);
  }

  function ensureParent(path: string): DirectoryNode {
    let directory = root;
    const walked: string[] = [];
    for (const part of splitPath(path)) {
      walked.push(part);
      const child = directory.children.get(part);
      if (child && child.kind !== 'directory')
        throw malformed(`${walked.join('/')} is no directory`);
      const next = child ?? createDirectory();
      directory.children.set(part, next);
      directory = next;
    }
    return directory;
  }

  function clear(directory: DirectoryNode, path: string): void {
    for (const [name, child] of directory.children) {
      const inner = joinPath(path, name);
      if (!written.has(inner)) directory.children.delete(name);
      else if (child.kind === 'directory') clear(child, inner);
    }
  }

  function toNode(header: Header, path: string): Node {
    const common = owned(header);
    switch (header.type) {
      case 'directory':
        return { ...createDirectory(), ...common };
      case 'symlink':
        return { kind: 'symlink', ...common, mode: 0o777, target: header.linkname ?? '' };
      case 'link': {
        const linked = nodeAt(root, header.linkname ?? '');
        if (!linked || linked.kind === 'directory')
          throw malformed(`${path} links to what is not there`);
        return linked;
      }
      case 'character-device':
      case 'block-device':
      case 'fifo':
        return {
          kind: 'device',
          type: header.type,
          ...common,
          major: header.devmajor ?? 0,
          minor: header.devminor ?? 0,
        };
      default:
        return {
          kind: 'file',
          ...common,
          size: header.size ?? 0,
          content: { kind: 'layer', layer, entry: index },
        };
    }
  }

  function malformed(message: string): BuildFault {
    return new BuildFault(
      'image_pull',
      `a base image has a malformed layer (${layer}): ${message}`,
    );
  }

  return { add };
}

function owned(header: Header) {
  return { mode: (header.mode ?? 0) & 0o7777, uid: header.uid ?? 0, gid: header.gid ?? 0 };
}
