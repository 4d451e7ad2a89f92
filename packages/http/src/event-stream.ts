import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

export interface ServerSentEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: unknown;
}

export interface EventStreamOptions {
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** How often a comment is sent, so that no proxy takes a quiet stream for a dead one. Default 15 s. */
  readonly heartbeatMs?: number;
  /** A reader that takes nothing for so long is cut off. Default 30 s. */
  readonly patienceMs?: number;
}

export function formatEvent({ id, event, data }: ServerSentEvent): string {
  const lines = [
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(event === undefined ? [] : [`event: ${event}`]),
    `data: ${JSON.stringify(data)}`,
  ];
  return `${lines.join('\n')}\n\n`;
}

/**
 * Streams formatted events until they end or `signal` aborts. Memory is bounded: a piece is taken only when the reader
 * took the one before.
 */
export async function streamEvents(
  response: ServerResponse,
  pieces: AsyncIterable<Uint8Array>,
  { signal, heartbeatMs = 15_000, patienceMs = 30_000 }: EventStreamOptions,
): Promise<void> {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
  });
  response.flushHeaders();
  const heartbeat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(': heartbeat\n\n');
  }, heartbeatMs);
  try {
    for await (const piece of pieces) {
      if (signal.aborted) break;
      if (!response.write(piece)) await drained(response, signal, patienceMs);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

async function drained(
  response: ServerResponse,
  signal: AbortSignal,
  patienceMs: number,
): Promise<void> {
  const patience = AbortSignal.timeout(patienceMs);
  try {
    await once(response, 'drain', { signal: AbortSignal.any([signal, patience]) });
  } catch (error) {
    if (patience.aborted) response.destroy();
    throw error;
  }
}
