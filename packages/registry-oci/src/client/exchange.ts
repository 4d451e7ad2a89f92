import { Readable } from 'node:stream';
import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import type { Dispatchers } from './guarded-agents.ts';
import { ResponseFailure } from './response-failure.ts';

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream needs a `content-length`. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
}

export type Response = Dispatcher.ResponseData;

export interface Wire {
  readonly dispatchers: Dispatchers;
  readonly headersMs: number;
  readonly idleBodyMs: number;
}

const maximumErrorBytes = 64 * 1024;
const errorBodySchema = z.object({
  errors: z.array(z.object({ code: z.string().regex(/^[A-Z_]{1,40}$/) })).max(20),
});

/**
 * One request, one answer: no redirect, no retry, no authorization.
 * @param registry the origin of the registry that was named, which may have led elsewhere
 */
export function exchange(
  wire: Wire,
  registry: URL,
  each: Exchange,
  signal: AbortSignal,
): Promise<Response> {
  return request(each.url, {
    dispatcher:
      each.url.origin === registry.origin
        ? wire.dispatchers.named
        : wire.dispatchers.ledBy(registry),
    method: each.method,
    headers: { 'user-agent': 'cygni', ...each.headers },
    body: bodyOf(each.body),
    signal,
    headersTimeout: wire.headersMs,
    bodyTimeout: wire.idleBodyMs,
  });
}

function bodyOf(body: Exchange['body']): Uint8Array | Readable | null {
  if (body === undefined || body instanceof Uint8Array) return body ?? null;
  return Readable.from(body, { objectMode: false });
}

/** Reads an answer that nobody needs, so that its connection can be used again. */
export async function discard(response: Response): Promise<void> {
  try {
    await response.body.dump({ limit: maximumErrorBytes });
  } catch {
    // The connection is gone, which is as good as read.
  }
}

/** @throws ResponseFailure if the body has more than `maximumBytes` */
export async function readBody(response: Response, maximumBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    const bytes: Buffer = chunk;
    size += bytes.byteLength;
    // Leaving the loop destroys the body.
    if (size > maximumBytes) throw new ResponseFailure(413, [], undefined);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** Reads an unwelcome answer to its end and says what it was. */
export async function failureOf(response: Response): Promise<ResponseFailure> {
  const codes = await errorCodes(response);
  return new ResponseFailure(
    response.statusCode,
    codes,
    retryAfterMs(headerOf(response, 'retry-after')) ?? exhaustedForMs(response),
  );
}

export function headerOf(response: Response, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

async function errorCodes(response: Response): Promise<readonly string[]> {
  try {
    const bytes = await readBody(response, maximumErrorBytes);
    const parsed = errorBodySchema.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data.errors.map((each) => each.code) : [];
  } catch {
    return [];
  }
}

/** Docker Hub's `ratelimit-remaining: 0;w=21600`: nothing is left of what the window of so many seconds allows. */
function exhaustedForMs(response: Response): number | undefined {
  if (response.statusCode !== 429) return undefined;
  const match = /^0;w=(\d{1,9})$/.exec(headerOf(response, 'ratelimit-remaining') ?? '');
  return match ? Number(match[1]) * 1000 : undefined;
}

function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
