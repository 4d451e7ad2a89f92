import { buffer, text } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import {
  hostPlatform,
  type ImageConfig,
  type ImageManifest,
  type RepositoryLocation,
  readImage,
} from '@cygni/core';
import { extract } from 'tar-stream';
import { call } from './build.ts';
import type { TestRegistry } from './registry.ts';

export interface PulledImage {
  readonly digest: string;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  /** One text a layer entry, layer by layer: `-rw-r--r-- 0:0 path 5` and so on. */
  readonly layers: readonly (readonly string[])[];
  /** What a container would see, by path; the same notation. */
  readonly files: Readonly<Record<string, string>>;
  /** Of regular files. */
  readonly contents: Readonly<Record<string, string>>;
  readonly mtimes: readonly number[];
}

/** Pulls an image and lists what is in it. */
export async function pullImage(
  registry: TestRegistry,
  location: RepositoryLocation,
  reference: string,
): Promise<PulledImage> {
  const image = await readImage(registry.images, location, reference, hostPlatform(), call());
  const layers: string[][] = [];
  const files: Record<string, string> = {};
  const contents: Record<string, string> = {};
  const mtimes: number[] = [];
  for (const { digest } of image.manifest.layers) {
    const blob = await buffer(await registry.images.getBlob(location, digest, call()));
    const archive = extract();
    archive.end(gunzipSync(blob));
    const lines: string[] = [];
    for await (const entry of archive) {
      const { header } = entry;
      const name = header.name.replace(/\/$/, '');
      const mode = (header.mode & 0o7777).toString(8).padStart(4, '0');
      const owner = `${header.uid}:${header.gid}`;
      const kind =
        { file: 'file', directory: 'dir', symlink: 'link' }[String(header.type)] ?? header.type;
      const suffix = header.type === 'symlink' ? ` -> ${header.linkname}` : '';
      const content = await text(entry);
      const shownMode = header.type === 'symlink' ? '' : ` ${mode}`;
      const line = `${kind}${shownMode} ${owner}${suffix}`;
      lines.push(`${name} ${line}`);
      mtimes.push(header.mtime.getTime() / 1000);
      files[name] = line;
      if (header.type === 'file') contents[name] = content;
    }
    layers.push(lines);
  }
  return { ...image, layers, files, contents, mtimes };
}
