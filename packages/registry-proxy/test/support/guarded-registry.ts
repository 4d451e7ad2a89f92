import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createRegistryServer } from '@cygni/registry-oci';

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly status: number;
}

export interface GuardedRegistry extends AsyncDisposable {
  readonly origin: string;
  readonly username: string;
  /** A password that opens every repository, until it is expired. */
  issue(): string;
  expireAll(): void;
  /** Expires everything in the moment when the next request that matches arrives. */
  expireAt(method: string, path: RegExp): void;
  /** How many of those have not happened yet. */
  armed(): number;
  readonly seen: readonly Seen[];
  /** Requests to the blob store that redirects lead to. */
  readonly fetched: readonly Seen[];
  /** Straight to the registry behind, past every check. */
  direct(path: string, init?: RequestInit): Promise<Response>;
}

export interface GuardedRegistryOptions {
  readonly host?: string;
  /** `ecr`: Basic, and 403 DENIED for what has expired; `basic`: 401; `bearer`: a token server. */
  readonly kind?: 'ecr' | 'basic' | 'bearer';
  /** Blob GETs answer 307, as ECR's do. */
  readonly redirects?: boolean;
  readonly tokenSeconds?: number;
}

/**
 * The embedded registry behind a door of account reach: passwords are really issued and really
 * refused, bearer tokens are bound to scopes, and blobs come from another server that refuses an
 * Authorization header.
 */
export async function guardedRegistry(
  options: GuardedRegistryOptions = {},
): Promise<GuardedRegistry> {
  const { host = '127.0.0.1', kind = 'ecr', redirects = false, tokenSeconds = 300 } = options;
  const directory = await mkdtemp(path.join(tmpdir(), 'cygni-guarded-'));
  const registry = createRegistryServer({ directory });
  await registry.open();
  const username = 'AWS';
  const valid = new Set<string>();
  const expired = new Set<string>();
  const tokens = new Map<string, ReadonlySet<string>>();
  const seen: Seen[] = [];
  const fetched: Seen[] = [];
  const traps: { readonly method: string; readonly path: RegExp }[] = [];

  const behind = await listening((request, response) => registry.handle(request, response), host);
  const store = await listening((request, response) => {
    note(fetched, request, response);
    if (request.headers.authorization !== undefined) {
      response.writeHead(400).end('only one auth mechanism allowed');
      return;
    }
    registry.handle(request, response);
  }, host);
  const door = await listening((request, response) => {
    note(seen, request, response);
    const [target = ''] = (request.url ?? '').split('?');
    const trap = traps.findIndex(
      (each) => each.method === request.method && each.path.test(target),
    );
    if (trap !== -1) {
      traps.splice(trap, 1);
      expireAll();
    }
    if (target === '/token') return giveToken(request, response);
    if (!admit(request, response, target)) return;
    if (redirects && request.method === 'GET' && /\/blobs\/sha256:/.test(target)) {
      response.writeHead(307, { location: `${store.origin}${request.url}?signature=s` }).end();
      return;
    }
    response.setHeader('set-cookie', 'session=secret-cookie');
    registry.handle(request, response);
  }, host);

  function admit(request: IncomingMessage, response: ServerResponse, target: string): boolean {
    const { authorization = '' } = request.headers;
    if (kind === 'bearer') {
      const scopes = tokens.get(authorization.replace(/^Bearer /, ''));
      const name = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(target)?.[1];
      const action = request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'push';
      if (scopes && (name === undefined || scopes.has(`${name}:${action}`))) return true;
      const realm = `Bearer realm="${door.origin}/token",service="guarded"`;
      return refuse(response, 401, 'UNAUTHORIZED', 'authentication required', realm);
    }
    const password = passwordIn(authorization);
    if (valid.has(password)) return true;
    if (kind === 'ecr' && expired.has(password)) {
      const message = 'Your authorization token has expired. Reauthenticate and try again.';
      return refuse(response, 403, 'DENIED', message);
    }
    return refuse(response, 401, 'UNAUTHORIZED', `no: ${password}`, 'Basic realm="guarded"');
  }

  function giveToken(request: IncomingMessage, response: ServerResponse): void {
    const password = passwordIn(request.headers.authorization ?? '');
    if (!valid.has(password)) {
      refuse(response, 401, 'UNAUTHORIZED', 'no such account');
      return;
    }
    const query = new URL(request.url ?? '', door.origin).searchParams;
    const token = randomBytes(16).toString('hex');
    const scopes = query.getAll('scope').flatMap((each) => {
      const [, name, actions = ''] = each.split(':');
      return actions.split(',').map((action) => `${name}:${action}`);
    });
    tokens.set(token, new Set(scopes));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token, expires_in: tokenSeconds }));
  }

  function expireAll(): void {
    for (const each of valid) expired.add(each);
    valid.clear();
    tokens.clear();
  }

  return {
    origin: door.origin,
    username,
    issue() {
      const password = `canary-${randomBytes(24).toString('hex')}`;
      valid.add(password);
      return password;
    },
    expireAll,
    expireAt: (method, pattern) => void traps.push({ method, path: pattern }),
    armed: () => traps.length,
    seen,
    fetched,
    direct: (target, init) => fetch(`${behind.origin}${target}`, init),
    async [Symbol.asyncDispose]() {
      await registry.close();
      for (const each of [door, store, behind]) await each.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function passwordIn(authorization: string): string {
  const pair = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  challenge?: string,
): false {
  if (challenge !== undefined) response.setHeader('www-authenticate', challenge);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
  return false;
}

function note(list: Seen[], request: IncomingMessage, response: ServerResponse): void {
  const { method = '', url = '', headers } = request;
  response.on('finish', () => {
    const { authorization } = headers;
    list.push({ method, path: url, authorization, status: response.statusCode });
  });
}

async function listening(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  host: string,
): Promise<{ readonly origin: string; close(): Promise<void> }> {
  const server = createServer({ requestTimeout: 0 }, handle);
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    origin: `http://${host}:${address.port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
