import type { IncomingMessage } from 'node:http';
import type { Upstream } from './configuration.ts';
import { type Exchange, methodNotAllowed, picked, respond } from './exchange.ts';
import { Failure } from './failure.ts';
import { type ForwardedRequest, locationOf } from './forward.ts';
import { digestPattern } from './names.ts';
import { assertAllowed, isAllowed, scopeOf } from './permission.ts';
import { discard } from './read-body.ts';
import { type Place, placeOf } from './route.ts';
import type { UploadSession } from './upload-sessions.ts';

/** POST: begins an upload, mounts a blob, or takes a whole one. */
export async function serveUploads(each: Exchange, place: Place): Promise<void> {
  if (each.request.method !== 'POST') throw methodNotAllowed('POST');
  const upstream = assertAllowed(each.configuration, place, 'push');
  const url = new URL(`/v2/${place.repository}/blobs/uploads/`, upstream.origin);
  const scopes = [scopeOf(upstream, place.repository)];

  const digest = each.query.get('digest');
  if (digest !== null) url.searchParams.set('digest', asDigest(digest));
  const mount = each.query.get('mount');
  const source = placeOf(each.query.get('from') ?? '');
  // A mount that is not allowed, or that leaves the source to the registry, becomes an upload, as the spec has it.
  if (mount !== null && source?.upstream === place.upstream) {
    if (isAllowed(each.configuration, source, 'pull')) {
      url.searchParams.set('mount', asDigest(mount));
      url.searchParams.set('from', source.repository);
      if (source.repository !== place.repository) scopes.push(scopeOf(upstream, source.repository));
    }
  }

  const answer = await send(each, upstream, scopes, url);
  if (answer.statusCode === 201) return respondStored(each, place, digest ?? mount ?? '');
  if (answer.statusCode !== 202) throw unexpected(answer);
  const session = each.sessions.begin(place, locationOf(answer, url, upstream));
  respondUnderWay(each, place, session, 202, answer);
}

/** PATCH, PUT, GET and DELETE of an upload under way. */
export async function serveUpload(each: Exchange, place: Place, id: string): Promise<void> {
  const { method = '' } = each.request;
  if (!['PATCH', 'PUT', 'GET', 'DELETE'].includes(method)) {
    throw methodNotAllowed('PATCH, PUT, GET, DELETE');
  }
  const upstream = assertAllowed(each.configuration, place, 'push');
  const session = each.sessions.find(place, id);
  if (!session) throw new Failure(404, 'BLOB_UPLOAD_UNKNOWN', 'no such upload');
  const url = new URL(session.url);
  const digest = method === 'PUT' ? asDigest(each.query.get('digest') ?? '') : undefined;
  if (digest !== undefined) url.searchParams.set('digest', digest);

  const answer = await send(each, upstream, [scopeOf(upstream, place.repository)], url);
  if (digest !== undefined) {
    if (answer.statusCode !== 201) throw unexpected(answer);
    each.sessions.end(id);
    return respondStored(each, place, digest);
  }
  if (method === 'DELETE') {
    each.sessions.end(id);
    return respond(each, 204, {});
  }
  moveOn(session, answer, url, upstream);
  respondUnderWay(each, place, id, method === 'GET' ? 204 : 202, answer);
}

async function send(
  each: Exchange,
  upstream: Upstream,
  scopes: readonly string[],
  url: URL,
): Promise<IncomingMessage> {
  const { request, signal } = each;
  const length = request.headers['content-length'];
  const streams = request.headers['transfer-encoding'] !== undefined || Number(length ?? 0) > 0;
  const forwarded: ForwardedRequest = {
    upstream,
    scopes,
    method: request.method ?? '',
    url,
    headers: {
      ...picked(request.headers, ['content-type', 'content-range']),
      ...(streams && length === undefined ? {} : { 'content-length': length ?? '0' }),
    },
    signal,
    ...(streams ? { body: request } : {}),
  };
  const answer = await each.forward(forwarded);
  await discard(answer);
  return answer;
}

/** The upstream may name another address for each step. */
function moveOn(
  session: UploadSession,
  answer: IncomingMessage,
  url: URL,
  upstream: Upstream,
): void {
  if (answer.headers.location !== undefined) session.url = locationOf(answer, url, upstream);
}

function respondUnderWay(
  each: Exchange,
  place: Place,
  id: string,
  status: number,
  answer: IncomingMessage,
): void {
  respond(each, status, {
    ...picked(answer.headers, ['range', 'oci-chunk-min-length']),
    location: `/v2/${place.upstream}/${place.repository}/blobs/uploads/${id}`,
    'docker-upload-uuid': id,
  });
}

function respondStored(each: Exchange, place: Place, digest: string): void {
  respond(each, 201, {
    location: `/v2/${place.upstream}/${place.repository}/blobs/${digest}`,
    'docker-content-digest': digest,
  });
}

/** @throws Failure */
function asDigest(value: string): string {
  if (digestPattern.test(value)) return value;
  throw new Failure(400, 'DIGEST_INVALID', 'not a sha256 digest');
}

function unexpected(answer: IncomingMessage): Failure {
  return new Failure(502, 'UNKNOWN', `the registry answers with ${answer.statusCode}`, {
    reason: 'upstream_unavailable',
  });
}
