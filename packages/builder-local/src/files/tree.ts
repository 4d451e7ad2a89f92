/** Where the bytes of a file are. */
export type Content =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** The nth entry of a layer; `layer` is its digest. Its bytes are taken out only when they are needed. */
  | { readonly kind: 'layer'; readonly layer: string; readonly entry: number };

interface Owned {
  /** The low twelve bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

interface FileNode extends Owned {
  readonly kind: 'file';
  readonly size: number;
  readonly content: Content;
}

interface SymlinkNode extends Owned {
  readonly kind: 'symlink';
  readonly target: string;
}

interface DeviceNode extends Owned {
  readonly kind: 'device';
  readonly type: 'character-device' | 'block-device' | 'fifo';
  readonly major: number;
  readonly minor: number;
}

export interface DirectoryNode extends Owned {
  readonly kind: 'directory';
  readonly children: Map<string, FileNode | SymlinkNode | DeviceNode | DirectoryNode>;
}

/** A file system in memory: names, modes and owners; the bytes of files stay where they are. */
export type Node = FileNode | SymlinkNode | DeviceNode | DirectoryNode;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export function createDirectory(mode = 0o755, owner: Owner = { uid: 0, gid: 0 }): DirectoryNode {
  return { kind: 'directory', mode, uid: owner.uid, gid: owner.gid, children: new Map() };
}

/** A copy whose directories can be changed without changing the original. */
export function cloneTree(directory: DirectoryNode): DirectoryNode {
  const children = new Map<string, Node>();
  for (const [name, child] of directory.children) {
    children.set(name, child.kind === 'directory' ? cloneTree(child) : child);
  }
  return { ...directory, children };
}

/** The components of a path; `.` and empty ones are left out, `..` never leaves the root. */
export function splitPath(path: string): readonly string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

export function joinPath(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('/');
}

/** The node at exactly this path, without following any link. */
export function nodeAt(root: DirectoryNode, path: string): Node | undefined {
  let node: Node = root;
  for (const part of splitPath(path)) {
    const child: Node | undefined = node.kind === 'directory' ? node.children.get(part) : undefined;
    if (!child) return undefined;
    node = child;
  }
  return node;
}

export function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
