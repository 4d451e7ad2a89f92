import type { LogBatch, LogUpdate, Platform } from '@cygni/core';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { principalWith } from '../auth/authenticate.ts';
import { formatEvent, streamEvents } from '../event-stream.ts';
import { parseId, parseInput } from '../parse.ts';
import { contextOf } from '../request-context.ts';

const largestPage = 1000;
const longestTimerMs = 2 ** 31 - 1;
const sequenceSchema = z.coerce.number().int().nonnegative();
const querySchema = z.object({
  after: sequenceSchema.default(0),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .transform((limit) => Math.min(limit, largestPage))
    .default(200),
});
const resumeSchema = z.object({ 'last-event-id': sequenceSchema.optional() });

/** A build's log: as server-sent events where the client accepts them, else as one page of JSON. */
export async function serveLog(
  platform: Platform,
  request: Request,
  response: Response,
): Promise<void> {
  const { tenantId, expiresAt } = principalWith(request, 'builds:read');
  const id = parseId(request.params.id);
  const query = parseInput(querySchema, request.query);
  const { call } = contextOf(request);

  if (request.accepts(['application/json', 'text/event-stream']) !== 'text/event-stream') {
    const lines = await platform.builds.readLog(tenantId, id, query, call);
    response.json({ items: lines, nextAfter: lines.at(-1)?.sequence ?? query.after });
    return;
  }

  const resumed = parseInput(resumeSchema, request.headers)['last-event-id'];
  // Asked before the stream begins, so that an unknown build is a 404.
  await platform.builds.get(tenantId, id, call);
  const lifetimeMs = Math.max(0, expiresAt * 1000 - Date.now());
  const tokenExpired = AbortSignal.timeout(Math.min(lifetimeMs, longestTimerMs));
  const signal = AbortSignal.any([call.signal, tokenExpired, platform.stopping]);
  const after = resumed ?? query.after;
  const updates = platform.builds.followLog(tenantId, id, after, { ...call, signal });
  await streamEvents(response, formatted(updates), { signal });
}

/** All who follow a build get the same batches: each is formatted once, and its bytes are shared. */
const formattedBatches = new WeakMap<LogBatch, Uint8Array>();

async function* formatted(updates: AsyncIterable<LogUpdate>): AsyncGenerator<Uint8Array> {
  for await (const { lines, ended } of updates) {
    if (lines.length > 0) yield formatBatch(lines);
    if (ended !== null) yield Buffer.from(formatEvent({ event: 'end', data: { state: ended } }));
  }
}

function formatBatch(lines: LogBatch): Uint8Array {
  const known = formattedBatches.get(lines);
  if (known) return known;
  const events = lines.map(({ sequence, attempt, time, text }) =>
    formatEvent({ id: String(sequence), data: { attempt, time, text } }),
  );
  const bytes = Buffer.from(events.join(''));
  formattedBatches.set(lines, bytes);
  return bytes;
}
