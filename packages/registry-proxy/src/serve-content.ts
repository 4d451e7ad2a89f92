import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Exchange, methodNotAllowed, picked } from './exchange.ts';
import { assertAllowed, scopeOf } from './permission.ts';
import type { Place } from './route.ts';

/** GET and HEAD of a manifest or a blob. */
export async function serveContent(
  each: Exchange,
  place: Place,
  path: `manifests/${string}` | `blobs/${string}`,
): Promise<void> {
  const { request } = each;
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw methodNotAllowed('GET, HEAD');
  }
  const upstream = assertAllowed(each.configuration, place, 'pull');
  const answer = await each.forward({
    upstream,
    scopes: [scopeOf(upstream, place.repository)],
    method: request.method,
    url: new URL(`/v2/${place.repository}/${path}`, upstream.origin),
    headers: picked(request.headers, ['accept', 'range', 'if-none-match']),
    signal: each.signal,
  });
  await relay(answer, each.response);
}

const shownHeaders = [
  'accept-ranges',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'docker-content-digest',
  'etag',
  'last-modified',
];

async function relay(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  response.writeHead(answer.statusCode ?? 502, picked(answer.headers, shownHeaders));
  await pipeline(answer, response);
}
