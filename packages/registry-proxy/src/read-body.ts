import type { Readable } from 'node:stream';
import { Failure } from './failure.ts';

/** @throws Failure if there is more than `maximumBytes` */
export async function readBody(stream: Readable, maximumBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes: Buffer = chunk;
    size += bytes.byteLength;
    if (size > maximumBytes) throw new Failure(413, 'SIZE_INVALID', 'too large');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

const maximumIgnoredBytes = 64 * 1024;

/** Reads an answer that nobody needs, so that its connection can be used again. */
export async function discard(stream: Readable): Promise<void> {
  try {
    await readBody(stream, maximumIgnoredBytes);
  } catch {
    // Leaving the loop has destroyed it, which is as good as read.
  }
}
