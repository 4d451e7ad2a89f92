import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';

export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

const magics: readonly (readonly [Compression, string])[] = [
  ['gzip', '1f8b'],
  ['zstd', '28b52ffd'],
  ['bzip2', '425a68'],
  ['xz', 'fd377a585a00'],
];

/** What the first bytes of a file say. */
export async function detectCompression(path: string): Promise<Compression> {
  const head = (await readHead(path, 6)).toString('hex');
  return magics.find(([, magic]) => head.startsWith(magic))?.[0] ?? 'none';
}

async function readHead(path: string, length: number): Promise<Buffer> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0);
  return buffer.subarray(0, bytesRead);
}

/** A file's content, unpacked if it is compressed by gzip or zstd. */
export function readDecompressed(path: string, compression: Compression): Readable {
  const file = createReadStream(path);
  if (compression !== 'gzip' && compression !== 'zstd') return file;
  const decompressor = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  file.on('error', (error) => decompressor.destroy(error));
  decompressor.on('close', () => file.destroy());
  return file.pipe(decompressor);
}

/** Whether an unpacked file begins like a tar archive (POSIX or GNU). */
export async function looksLikeTar(path: string, compression: Compression): Promise<boolean> {
  let head = Buffer.alloc(0);
  const stream = readDecompressed(path, compression);
  try {
    for await (const chunk of stream) {
      head = Buffer.concat([head, chunk]);
      if (head.length >= 512) break;
    }
  } catch {
    return false;
  } finally {
    stream.destroy();
  }
  return head.length >= 512 && head.toString('latin1', 257, 262) === 'ustar';
}
