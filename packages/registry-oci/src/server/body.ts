import type { IncomingMessage } from 'node:http';
import { SpecFailure } from './spec-failure.ts';

const unreadBytes = 64 * 1024 * 1024;
const unreadMs = 5000;

/** A request's body. A client that sends nothing for so long loses its connection; time spent on our side does not count. */
export async function* bodyOf(
  request: IncomingMessage,
  idleMs: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let waiting = true;
  const timer = setTimeout(() => {
    if (waiting) request.destroy(new Error('the client stopped sending'));
  }, idleMs);
  try {
    // Kept open when the reader gives up, so that an answer still reaches the client.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      waiting = false;
      yield chunk;
      waiting = true;
      // Cheaper than a new one for each chunk.
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** @throws SpecFailure 413 past `maximumBytes` */
export async function collectBody(
  request: IncomingMessage,
  maximumBytes: number,
  idleMs: number,
): Promise<Buffer> {
  const refuse = () =>
    new SpecFailure('MANIFEST_INVALID', `over ${maximumBytes} bytes`, { status: 413 });
  if (Number(request.headers['content-length'] ?? 0) > maximumBytes) throw refuse();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(request, idleMs)) {
    size += chunk.byteLength;
    if (size > maximumBytes) throw refuse();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * After an early answer: reads on for a little, because a client whose connection is cut while it
 * sends often never sees the answer; then cuts it all the same.
 */
export function drainUnread(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  let left = unreadBytes;
  const timer = setTimeout(() => request.destroy(), unreadMs);
  request.on('data', (chunk: Buffer) => {
    left -= chunk.byteLength;
    if (left < 0) request.destroy();
  });
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => clearTimeout(timer));
  request.on('error', () => undefined);
  request.resume();
}
