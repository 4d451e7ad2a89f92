import type { FileHandle } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';

/**
 * Half of it takes a third more time: reading and sending then wait for each other at each piece. Twice as much gains
 * nothing, and two are held for each client.
 */
const pieceBytes = 512 * 1024;

/**
 * Writes a part of a file to an answer, through two buffers that are used again and again: memory that
 * is allocated for each piece costs more than the copying. A client that takes nothing for `idleMs`
 * loses its connection. Leaves the answer to be ended.
 * @param range `end` included
 */
export async function sendFile(
  file: FileHandle,
  range: { readonly start: number; readonly end: number },
  response: ServerResponse,
  idleMs: number,
): Promise<void> {
  const total = range.end - range.start + 1;
  if (total === 0) return;
  const size = Math.min(pieceBytes, total);
  const [one, other] = [Buffer.allocUnsafe(size), Buffer.allocUnsafe(size)];
  const timer = setTimeout(() => response.destroy(new Error('the client stopped reading')), idleMs);
  try {
    let reading = read(one, 0);
    let next = other;
    for (let sent = 0; sent < total; ) {
      const piece = await reading;
      sent += piece.byteLength;
      if (sent < total) reading = read(next, sent);
      next = next === other ? one : other;
      timer.refresh();
      try {
        await write(response, piece);
      } catch (error) {
        // The buffers are free only when nobody writes to them any more.
        await reading.catch(() => undefined);
        throw error;
      }
    }
  } finally {
    clearTimeout(timer);
  }

  async function read(buffer: Buffer, offset: number): Promise<Buffer> {
    const length = Math.min(buffer.byteLength, total - offset);
    const { bytesRead } = await file.read(buffer, 0, length, range.start + offset);
    if (bytesRead === 0) throw new Error('the file is shorter than it was');
    return buffer.subarray(0, bytesRead);
  }
}

function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const gone = () => reject(new Error('the connection is closed'));
  response.once('close', gone);
  response.write(bytes, (error) => (error ? reject(error) : resolve()));
  if (response.destroyed) gone();
  return promise.finally(() => response.off('close', gone));
}
