import type { Platform } from '@cygni/core';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { principalWith } from '../auth/authenticate.ts';
import { type ServerSentEvent, streamEvents } from '../event-stream.ts';
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
  const streamed = { ...call, signal };

  async function* events(): AsyncGenerator<ServerSentEvent> {
    const after = resumed ?? query.after;
    for await (const line of platform.builds.followLog(tenantId, id, after, streamed)) {
      const { sequence, attempt, time, text } = line;
      yield { id: String(sequence), data: { attempt, time, text } };
    }
    if (signal.aborted) return;
    const { state } = await platform.builds.get(tenantId, id, streamed);
    yield { event: 'end', data: { state } };
  }
  await streamEvents(response, events(), signal);
}
