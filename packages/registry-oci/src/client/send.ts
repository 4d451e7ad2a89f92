import { type Call, CygniError, type RepositoryLocation } from '@cygni/core';
import type { Authorizer } from './authorizer.ts';
import { endpointOf } from './endpoint.ts';
import {
  discard,
  type Exchange,
  exchange,
  failureOf,
  headerOf,
  type Response,
  type Wire,
} from './exchange.ts';
import { ResponseFailure } from './response-failure.ts';

interface RegistryRequest {
  readonly location: RepositoryLocation;
  readonly method: Exchange['method'];
  /** Below `/v2/<repository>/`, or a whole URL that the registry gave. */
  readonly target: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** One that streams is sent once only: a 401 to it rejects. */
  readonly body?: Exchange['body'];
  readonly scopes: readonly string[];
  /** The statuses that mean success; any other rejects with ResponseFailure. */
  readonly expect: readonly number[];
}

/** One request with its authorization and redirects, but without retries. */
export type Send = (request: RegistryRequest, call: Call) => Promise<Response>;

const maximumRedirects = 5;
const redirects = new Set([301, 302, 303, 307, 308]);

export function createSend(wire: Wire, authorizer: Authorizer): Send {
  return async (request, call) => {
    const endpoint = endpointOf(request.location);
    let url =
      typeof request.target === 'string'
        ? new URL(`v2/${endpoint.repository}/${request.target}`, endpoint.origin)
        : request.target;
    assertScheme(url, request.location);

    for (let hops = 0; hops <= maximumRedirects; hops += 1) {
      const response =
        url.origin === endpoint.origin.origin
          ? await authorized(request, url, call)
          : await exchange(wire, endpoint.origin, toExchange(request, url, undefined), call.signal);
      if (request.expect.includes(response.statusCode)) return response;
      const next = headerOf(response, 'location');
      const follows = request.method === 'GET' || request.method === 'HEAD';
      if (!redirects.has(response.statusCode) || !follows || next === undefined) {
        throw await failureOf(response);
      }
      await discard(response);
      url = resolveUrl(next, url, request.location);
    }
    throw misled(`redirects more than ${maximumRedirects} times`);
  };

  async function authorized(request: RegistryRequest, url: URL, call: Call): Promise<Response> {
    const { location, scopes } = request;
    const { origin } = endpointOf(location);
    const header = authorizer.remembered(location, scopes);
    const first = await exchange(wire, origin, toExchange(request, url, header), call.signal);
    if (first.statusCode !== 401) return first;
    const challenge = headerOf(first, 'www-authenticate') ?? '';
    const failure = await failureOf(first);
    if (streams(request)) throw failure;
    const renewed = await authorizer.answer(location, scopes, challenge, header, call.signal);
    if (renewed === undefined) throw failure;
    return exchange(wire, origin, toExchange(request, url, renewed), call.signal);
  }
}

/** An address that the registry gave, which may be relative. @throws `unavailable` if it leads out of TLS */
export function resolveUrl(value: string, base: URL, location: RepositoryLocation): URL {
  const url = URL.parse(value, base.href);
  if (!url) throw new ResponseFailure(502, [], undefined);
  assertScheme(url, location);
  return url;
}

function assertScheme(url: URL, location: RepositoryLocation): void {
  const allowed = url.protocol === 'https:' || (url.protocol === 'http:' && location.insecure);
  if (!allowed) throw misled(`leads to a ${url.protocol} address`);
}

/** Not worth another try: it is set up like that. */
function misled(how: string): CygniError {
  return new CygniError('unavailable', `the registry ${how}`, { retryable: false });
}

function streams({ body }: RegistryRequest): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}

function toExchange(
  request: RegistryRequest,
  url: URL,
  authorization: string | undefined,
): Exchange {
  return {
    method: request.method,
    url,
    headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
    ...(request.body === undefined ? {} : { body: request.body }),
  };
}
