import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import type { BuildSource } from '@cygni/core';
import { type Header, pack } from 'tar-stream';

type FileSpec =
  | string
  | Uint8Array
  | {
      readonly content?: string | Uint8Array;
      readonly mode?: number;
      readonly type?: Header['type'];
      readonly link?: string;
      readonly uid?: number;
      readonly gid?: number;
      readonly mtime?: number;
    };

/** By name; a name that ends with / is a directory. Entries keep this order. */
export type Files = Readonly<Record<string, FileSpec>>;

export async function tar(files: Files): Promise<Buffer> {
  const archive = pack();
  for (const [name, spec] of Object.entries(files)) {
    const each = typeof spec === 'string' || spec instanceof Uint8Array ? { content: spec } : spec;
    const type = each.type ?? (name.endsWith('/') ? 'directory' : each.link ? 'symlink' : 'file');
    const header = {
      name,
      type,
      mode: each.mode ?? (type === 'directory' ? 0o755 : 0o644),
      uid: each.uid ?? 1000,
      gid: each.gid ?? 1000,
      mtime: new Date((each.mtime ?? 1_700_000_000) * 1000),
      ...(each.link === undefined ? {} : { linkname: each.link }),
    };
    if (type === 'file') archive.entry(header, Buffer.from(each.content ?? ''));
    else archive.entry(header);
  }
  archive.finalize();
  return buffer(archive);
}

export async function sourceOf(files: Files): Promise<BuildSource> {
  return sourceFromBytes(gzipSync(await tar(files)));
}

export function sourceFromBytes(bytes: Uint8Array): BuildSource {
  return {
    sizeBytes: bytes.byteLength,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    open: async () =>
      (async function* () {
        for (let at = 0; at < bytes.byteLength; at += 65_536) yield bytes.subarray(at, at + 65_536);
      })(),
    presign: () => Promise.reject(new Error('no test presigns')),
  };
}
