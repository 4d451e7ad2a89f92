import type { IncomingMessage, ServerResponse } from 'node:http';
import { isCygniError } from '@cygni/core';
import { assertAccess } from './access.ts';
import { drainUnread } from './body.ts';
import { methodNotAllowed, respond, type ServerExchange, type Stores } from './exchange.ts';
import { type Route, routeOf } from './route.ts';
import { serveBlob } from './serve-blob.ts';
import { serveManifest } from './serve-manifest.ts';
import { serveReferrers } from './serve-referrers.ts';
import { serveTags } from './serve-tags.ts';
import { serveUpload, serveUploads } from './serve-uploads.ts';
import { SpecFailure } from './spec-failure.ts';

interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly ready: () => Promise<void>;
}

/** Answers one request, whatever happens; never rejects. */
export async function answer(stores: Stores, { request, response, ready }: Arrival): Promise<void> {
  // A connection may break at any time; whoever reads or writes hears of it from its own stream.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  response.setHeader('x-content-type-options', 'nosniff');
  try {
    const [path = '', query = ''] = splitOnce(targetOf(request), '?');
    const each = { request, response, query: new URLSearchParams(query) };
    const route = routeOf(path);
    await assertAccess(stores.authorize, {
      authorization: request.headers.authorization,
      repository: route.kind === 'base' ? null : route.repository,
      action: actionOf(route, request.method ?? ''),
    });
    await ready();
    await serve(stores, each, route);
  } catch (error) {
    refuse(stores, { request, response }, error);
  }
  drainUnread(request);
}

async function serve(stores: Stores, each: ServerExchange, route: Route): Promise<void> {
  switch (route.kind) {
    case 'base':
      if (each.request.method !== 'GET' && each.request.method !== 'HEAD') {
        throw methodNotAllowed(['GET', 'HEAD']);
      }
      return respond(each, 200, { 'content-type': 'application/json' }, '{}');
    case 'manifest':
      return serveManifest(stores, each, route.repository, route.reference);
    case 'blob':
      return serveBlob(stores, each, route.repository, route.digest);
    case 'uploads':
      return serveUploads(stores, each, route.repository);
    case 'upload':
      return serveUpload(stores, each, route.repository, route.id);
    case 'tags':
      return serveTags(stores, each, route.repository);
    case 'referrers':
      return serveReferrers(stores, each, route.repository, route.digest);
  }
}

function actionOf(route: Route, method: string): 'pull' | 'push' | 'delete' {
  if (route.kind === 'uploads' || route.kind === 'upload') return 'push';
  if (method === 'DELETE') return 'delete';
  return method === 'GET' || method === 'HEAD' ? 'pull' : 'push';
}

function refuse(
  stores: Stores,
  each: { readonly request: IncomingMessage; readonly response: ServerResponse },
  error: unknown,
): void {
  const { request, response } = each;
  if (response.headersSent || response.destroyed || request.socket.destroyed) {
    // Half an answer, or nobody to give one to.
    stores.log.debug({ reason: String(error) }, 'a registry request was broken off');
    response.destroy();
    return;
  }
  const failure = toSpecFailure(error);
  if (failure.status >= 500) {
    stores.log.error({ err: error, method: request.method }, 'a registry request failed');
  }
  const body = JSON.stringify({ errors: [{ code: failure.code, message: failure.message }] });
  const headers = { 'content-type': 'application/json', ...failure.headers };
  respond(each, failure.status, headers, body);
}

function toSpecFailure(error: unknown): SpecFailure {
  if (error instanceof SpecFailure) return error;
  if (isCygniError(error, 'closed')) {
    return new SpecFailure('UNKNOWN', 'the registry is closing', { status: 503 });
  }
  return new SpecFailure('UNKNOWN', 'internal error');
}

/** Express cuts the mount path off `url`, and keeps all of it here. */
function targetOf(request: IncomingMessage): string {
  return 'originalUrl' in request && typeof request.originalUrl === 'string'
    ? request.originalUrl
    : (request.url ?? '');
}

function splitOnce(value: string, separator: string): readonly string[] {
  const at = value.indexOf(separator);
  return at === -1 ? [value] : [value.slice(0, at), value.slice(at + 1)];
}
