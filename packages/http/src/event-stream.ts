import { once } from 'node:events';
import type { Response } from 'express';

const heartbeatMs = 15_000;
const slowReaderMs = 30_000;

export interface ServerSentEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: unknown;
}

/**
 * Streams events until they end or `signal` aborts. Memory is bounded: an event is taken only when the reader
 * took the one before, and a reader that takes nothing for 30 s is cut off.
 */
export async function streamEvents(
  response: Response,
  events: AsyncIterable<ServerSentEvent>,
  signal: AbortSignal,
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
    for await (const event of events) {
      if (signal.aborted) break;
      if (!response.write(format(event))) await drained(response, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

function format({ id, event, data }: ServerSentEvent): string {
  const lines = [
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(event === undefined ? [] : [`event: ${event}`]),
    `data: ${JSON.stringify(data)}`,
  ];
  return `${lines.join('\n')}\n\n`;
}

async function drained(response: Response, signal: AbortSignal): Promise<void> {
  const patience = AbortSignal.timeout(slowReaderMs);
  try {
    await once(response, 'drain', { signal: AbortSignal.any([signal, patience]) });
  } catch (error) {
    if (patience.aborted) response.destroy();
    throw error;
  }
}
