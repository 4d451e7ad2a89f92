import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Authorization, Authorizer } from './authorizer.ts';
import type { Upstream } from './configuration.ts';
import { Failure } from './failure.ts';
import { discard } from './read-body.ts';
import { errorIn, errorText } from './upstream-errors.ts';
import type { Wire } from './upstream-request.ts';

export interface ForwardedRequest {
  readonly upstream: Upstream;
  readonly scopes: readonly string[];
  readonly method: string;
  readonly url: URL;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Buffer | Readable;
  readonly signal: AbortSignal;
}

/** The upstream's answer, with a status below 400. @throws Failure for every other one */
export type Forward = (request: ForwardedRequest) => Promise<IncomingMessage>;

const maximumAttempts = 4;
const maximumRedirects = 5;

export function createForward(wire: Wire, authorizer: Authorizer): Forward {
  async function forward(each: ForwardedRequest): Promise<IncomingMessage> {
    const { name } = each.upstream;
    const streams = each.body !== undefined && !Buffer.isBuffer(each.body);
    if (streams && !authorizer.proven(name)) await proveFirst(each);
    for (let attempt = 1; ; attempt += 1) {
      const sent = await authorizer.authorize(name, each.scopes, each.signal);
      const trusted = each.url.origin === new URL(each.upstream.origin).origin;
      const headers = {
        'user-agent': 'cygni-registry-proxy',
        ...each.headers,
        ...(trusted && sent.header !== undefined ? { authorization: sent.header } : {}),
      };
      const response = await wire.send({ ...each, headers }, each.signal);
      const status = response.statusCode ?? 0;
      if (status < 400) {
        authorizer.accepted(name, sent);
        return redirected(response) ? follow(each, response) : response;
      }
      if ((status !== 401 && status !== 403) || !trusted) {
        throw await failureOf(response, authorizer.secrets(sent));
      }

      const text = await errorText(response);
      const refusal = { status, challenge: response.headers['www-authenticate'], text };
      const again = await authorizer.recover(name, each.scopes, sent, refusal, each.signal);
      if (!again || attempt === maximumAttempts) throw denied(refusal, sent);
      if (streams) {
        // Its bytes are gone. go-containerregistry begins a blob again after a 503.
        throw new Failure(503, 'UNAVAILABLE', 'the credentials were renewed: send the blob again');
      }
    }
  }

  /** How the upstream wants to be asked must be known before a body that cannot be sent twice. */
  async function proveFirst(each: ForwardedRequest): Promise<void> {
    const url = new URL('/v2/', each.upstream.origin);
    const { upstream, scopes, signal } = each;
    await discard(await forward({ upstream, scopes, signal, method: 'GET', url, headers: {} }));
  }

  /** Redirects lead to signed addresses of a blob store, which refuse or leak an Authorization. */
  async function follow(each: ForwardedRequest, first: IncomingMessage): Promise<IncomingMessage> {
    if (each.method !== 'GET' && each.method !== 'HEAD') {
      await discard(first);
      throw new Failure(502, 'UNSUPPORTED', 'the registry redirects an upload', {
        reason: 'upstream_unavailable',
      });
    }
    let response = first;
    let { url } = each;
    for (let hops = 0; redirected(response); hops += 1) {
      if (hops === maximumRedirects) throw badRedirect('too often');
      url = locationOf(response, url, each.upstream);
      await discard(response);
      const { method, headers } = each;
      response = await wire.send({ method, url, headers }, each.signal);
    }
    if ((response.statusCode ?? 0) >= 400) throw await failureOf(response, []);
    return response;
  }

  function denied(
    refusal: { readonly status: number; readonly text: string },
    sent: Authorization,
  ): Failure {
    const { code, message } = errorIn(refusal.text, refusal.status, authorizer.secrets(sent));
    const fallback = refusal.status === 401 ? 'UNAUTHORIZED' : 'DENIED';
    return new Failure(refusal.status, code === 'UNKNOWN' ? fallback : code, message, {
      reason: 'denied',
    });
  }

  return forward;
}

/** Where the upstream points to: HTTPS, or HTTP if that is how it is spoken to itself. @throws Failure */
export function locationOf(response: IncomingMessage, base: URL, upstream: Upstream): URL {
  const url = URL.parse(response.headers.location ?? '', base.href);
  const allowed = upstream.origin.startsWith('http:') ? ['https:', 'http:'] : ['https:'];
  if (response.headers.location === undefined || !url || !allowed.includes(url.protocol)) {
    throw badRedirect('to nowhere');
  }
  url.username = '';
  url.password = '';
  url.hash = '';
  return url;
}

function redirected(response: IncomingMessage): boolean {
  return [301, 302, 303, 307, 308].includes(response.statusCode ?? 0);
}

function badRedirect(how: string): Failure {
  return new Failure(502, 'UNAVAILABLE', `the registry redirects ${how}`, {
    reason: 'upstream_unavailable',
  });
}

async function failureOf(response: IncomingMessage, secrets: readonly string[]): Promise<Failure> {
  const status = response.statusCode ?? 502;
  const { code, message } = errorIn(await errorText(response), status, secrets);
  const headers: Record<string, string> = {};
  for (const name of ['retry-after', 'range'] as const) {
    const value = response.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  return new Failure(status, code, message, {
    headers,
    ...(status >= 500 ? { reason: 'upstream_unavailable' } : {}),
  });
}
