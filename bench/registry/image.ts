import { createCipheriv, createHash } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mediaTypes } from '@cygni/core';

export interface BenchBlob {
  readonly file: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface BenchImage {
  readonly blobs: readonly BenchBlob[];
  readonly manifest: { readonly mediaType: string; readonly bytes: Buffer };
  readonly sizeBytes: number;
}

const pieceBytes = 1024 * 1024;

/** An image of `layers` files in `directory`, of content that does not compress and is the same in every run. */
export async function writeImage(
  directory: string,
  layers: number,
  layerBytes: number,
): Promise<BenchImage> {
  const blobs: BenchBlob[] = [];
  for (let index = 0; index < layers; index += 1) {
    blobs.push(await writeLayer(join(directory, `layer-${index}`), index, layerBytes));
  }
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: blobs.map(({ digest }) => digest) },
    }),
  );
  const configBlob = {
    file: join(directory, 'config'),
    digest: `sha256:${createHash('sha256').update(config).digest('hex')}`,
    sizeBytes: config.byteLength,
  };
  await writeFile(configBlob.file, config);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: describe(mediaTypes.ociConfig, configBlob),
      layers: blobs.map((blob) => describe(mediaTypes.ociLayer, blob)),
    }),
  );
  return {
    blobs: [configBlob, ...blobs],
    manifest: { mediaType: mediaTypes.ociManifest, bytes: manifest },
    sizeBytes: layers * layerBytes + config.byteLength + manifest.byteLength,
  };
}

async function writeLayer(file: string, index: number, sizeBytes: number): Promise<BenchBlob> {
  const hash = createHash('sha256');
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, index + 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(pieceBytes);
  const handle = await open(file, 'wx');
  try {
    for (let left = sizeBytes; left > 0; left -= pieceBytes) {
      const piece = stream.update(zeros.subarray(0, Math.min(left, pieceBytes)));
      hash.update(piece);
      await handle.write(piece);
    }
  } finally {
    await handle.close();
  }
  return { file, digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}

function describe(mediaType: string, { digest, sizeBytes }: BenchBlob) {
  return { mediaType, digest, size: sizeBytes };
}
