import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { mediaTypes } from '@cygni/core';
import { z } from 'zod';
import { BuildFault } from '../build-fault.ts';
import { detectCompression } from '../files/decompress.ts';
import { readTar } from '../files/read-tar.ts';
import { type BuiltImage, composeImage, type ImageLayer } from '../image/built-image.ts';
import type { Limits } from '../options.ts';

const manifestSchema = z
  .array(z.object({ Config: z.string(), Layers: z.array(z.string()) }))
  .length(1);
const configSchema = z.looseObject({ rootfs: z.looseObject({ diff_ids: z.array(z.string()) }) });

/** Reads what `docker save` writes: old archives hold plain layers, newer ones may hold compressed ones. */
export async function readSavedImage(
  archive: string,
  directory: string,
  limits: Limits,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  await mkdir(directory);
  const bounds = { ...limits, bytes: limits.imageBytes };
  await readTar(
    createReadStream(archive),
    bounds,
    async (header, body) => {
      if (header.type === 'symlink' || header.type === 'link') {
        links.set(header.name, header.linkname);
        return;
      }
      if (header.type !== 'file') return;
      const path = join(directory, String(files.size));
      await pipeline(body, createWriteStream(path), { signal });
      files.set(header.name, path);
    },
    signal,
  );
  const find = (name: string) => {
    const path = files.get(name) ?? files.get(links.get(name)?.replace(/^(?:\.\.\/)+/, '') ?? '');
    if (path === undefined)
      throw new BuildFault('platform_error', `the saved image has no ${name}`);
    return path;
  };
  const [manifest] = manifestSchema.parse(
    JSON.parse(await readFile(find('manifest.json'), 'utf8')),
  );
  const config = await readFile(find(manifest?.Config ?? ''));
  const { rootfs } = configSchema.parse(JSON.parse(config.toString('utf8')));
  const layers: ImageLayer[] = [];
  for (const [index, name] of (manifest?.Layers ?? []).entries()) {
    const path = find(name);
    layers.push(await compressLayer(path, rootfs.diff_ids[index] ?? '', signal));
  }
  return composeImage(config, layers);
}

async function compressLayer(
  path: string,
  diffId: string,
  signal: AbortSignal,
): Promise<ImageLayer> {
  const hash = createHash('sha256');
  let size = 0;
  async function* measured(source: AsyncIterable<Uint8Array>) {
    for await (const chunk of source) {
      hash.update(chunk);
      size += chunk.byteLength;
      yield chunk;
    }
  }
  const isPlain = (await detectCompression(path)) === 'none';
  const target = `${path}.gz`;
  const file = createWriteStream(target);
  if (isPlain) await pipeline(createReadStream(path), createGzip(), measured, file, { signal });
  else await pipeline(createReadStream(path), measured, file, { signal });
  return {
    descriptor: {
      mediaType: mediaTypes.ociLayerGzip,
      digest: `sha256:${hash.digest('hex')}`,
      size,
    },
    diffId,
    path: target,
    from: undefined,
  };
}
