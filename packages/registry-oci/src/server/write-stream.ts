import type { FileHandle } from 'node:fs/promises';

/** Gathered before it is written: a call to the kernel for each packet costs more than the packet. */
const pieceBytes = 512 * 1024;
/** A slow client's bytes wait no longer than this to be written. */
const gatherMs = 5;

/**
 * Writes a stream into a file from `start` on. One piece is on its way to the disk while the next is gathered, so that
 * at most two are held. Nothing is on its way any more when this ends, however it ends.
 *
 * @throws whatever the source or the file throws; what the source gave before is written
 */
export async function writeStream(
  handle: FileHandle,
  start: number,
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  let position = start;
  let gathered: Uint8Array[] = [];
  let size = 0;
  let written = Promise.resolve();
  let isWriting = false;
  let timer: NodeJS.Timeout | undefined;

  function write(): void {
    clearTimeout(timer);
    timer = undefined;
    const [chunks, at] = [gathered, position];
    isWriting = true;
    written = written
      .then(() => writeAll(handle, chunks, at))
      .finally(() => {
        isWriting = false;
      });
    // Thrown where it is awaited next, which may be long after it failed.
    written.catch(() => {});
    position += size;
    gathered = [];
    size = 0;
  }

  function writeWhenFree(): void {
    if (isWriting) timer?.refresh();
    else write();
  }

  try {
    for await (const chunk of source) {
      gathered.push(chunk);
      size += chunk.byteLength;
      if (size < pieceBytes) {
        timer ??= setTimeout(writeWhenFree, gatherMs);
        continue;
      }
      await written;
      write();
    }
  } finally {
    write();
    await written;
  }
}

async function writeAll(
  handle: FileHandle,
  chunks: readonly Uint8Array[],
  start: number,
): Promise<void> {
  let position = start;
  let left = [...chunks];
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, position);
    position += bytesWritten;
    left = without(left, bytesWritten);
  }
}

/** What is left after a write, which may be of less than it was given. */
function without(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  return chunks.flatMap((chunk) => {
    const skipped = Math.min(skip, chunk.byteLength);
    skip -= skipped;
    return skipped === chunk.byteLength ? [] : [chunk.subarray(skipped)];
  });
}
