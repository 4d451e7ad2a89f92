import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createAuthorizer } from './authorizer.ts';
import type { ConfigurationFile } from './configuration-file.ts';
import { type Exchange, methodNotAllowed, respond } from './exchange.ts';
import { Failure } from './failure.ts';
import { createForward } from './forward.ts';
import type { Report } from './report.ts';
import { type Place, routeOf } from './route.ts';
import { serveContent } from './serve-content.ts';
import { serveManifestPush } from './serve-manifest-push.ts';
import { serveUpload, serveUploads } from './serve-uploads.ts';
import { createUploadSessions } from './upload-sessions.ts';
import { createWire } from './upstream-request.ts';

export interface RegistryProxy extends AsyncDisposable {
  /** Listens on 127.0.0.1 and reports it. */
  listen(): Promise<{ readonly port: number }>;
  /** Takes no more requests, waits a second for those under way, then cuts them off. Idempotent. */
  close(): Promise<void>;
}

const closeWithinMs = 1000;
/** Longer than a build's client keeps an idle connection, so that none is used in the moment it closes. */
const keepAliveMs = 600_000;

export function createRegistryProxy(file: ConfigurationFile, report: Report): RegistryProxy {
  const wire = createWire();
  const forward = createForward(wire, createAuthorizer(file, wire));
  const sessions = createUploadSessions();
  let closing: Promise<void> | undefined;

  // A large blob takes as long as it takes.
  const server = createServer(
    { requestTimeout: 0, keepAliveTimeout: keepAliveMs },
    (request, response) => void answer(request, response),
  );
  server.on('clientError', (_error, socket) => {
    // kaniko tries HTTPS first and takes an answer in plain HTTP for the proof that it is not.
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
    else socket.destroy();
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const hungUp = new AbortController();
    response.on('close', () => hungUp.abort());
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    let place: Place | undefined;
    try {
      const target = request.url ?? '';
      const mark = target.indexOf('?');
      const route = routeOf(mark === -1 ? target : target.slice(0, mark));
      if (route.kind !== 'base') place = route.place;
      const each: Exchange = {
        request,
        response,
        query: new URLSearchParams(mark === -1 ? '' : target.slice(mark)),
        signal: hungUp.signal,
        configuration: file.current(),
        forward,
        sessions,
        report,
      };
      switch (route.kind) {
        case 'base':
          if (request.method !== 'GET' && request.method !== 'HEAD') {
            throw methodNotAllowed('GET, HEAD');
          }
          return respond(each, 200, { 'content-type': 'application/json' }, '{}');
        case 'manifest':
          if (request.method === 'PUT') {
            return await serveManifestPush(each, route.place, route.reference);
          }
          return await serveContent(each, route.place, `manifests/${route.reference}`);
        case 'blob':
          return await serveContent(each, route.place, `blobs/${route.digest}`);
        case 'uploads':
          return await serveUploads(each, route.place);
        case 'upload':
          return await serveUpload(each, route.place, route.session);
      }
    } catch (error) {
      refuse(request, response, place, error);
    }
  }

  function refuse(
    request: IncomingMessage,
    response: ServerResponse,
    place: Place | undefined,
    error: unknown,
  ): void {
    if (response.headersSent || response.destroyed) {
      // Half an answer, or nobody to give one to.
      response.destroy();
      return;
    }
    const failure = error instanceof Failure ? error : internal();
    const { status, code, reason, message } = failure;
    if (reason !== undefined) report({ event: 'error', reason, message, ...place });
    const body = JSON.stringify({ errors: [{ code, message }] });
    const headers = { 'content-type': 'application/json', ...failure.headers };
    respond({ request, response }, status, headers, body);
  }

  async function close(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    const cut = setTimeout(() => server.closeAllConnections(), closeWithinMs);
    await closed;
    clearTimeout(cut);
    wire[Symbol.dispose]();
  }

  function closeOnce(): Promise<void> {
    closing ??= close();
    return closing;
  }

  return {
    async listen() {
      server.listen(file.current().port, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      report({ event: 'listening', port: address.port });
      return { port: address.port };
    },
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

/** What went wrong may quote anything, so it is not shown. */
function internal(): Failure {
  return new Failure(500, 'UNKNOWN', 'internal error', { reason: 'internal' });
}
