import * as z from 'zod/mini';
import type { Challenge } from './challenge.ts';
import type { Upstream } from './configuration.ts';
import { Failure } from './failure.ts';
import { discard, readBody } from './read-body.ts';
import type { Wire } from './upstream-request.ts';

export interface Token {
  readonly value: string;
  /** On the clock of performance.now(). */
  readonly goodUntil: number;
}

const exchangeWithinMs = 30_000;
const maximumTokenBytes = 1024 * 1024;
const tokenSchema = z.object({
  token: z.optional(z.string()),
  access_token: z.optional(z.string()),
  // The default is the distribution spec's.
  expires_in: z._default(z.number().check(z.positive()), 60),
});

/**
 * Exchanges the credentials for a token of these scopes.
 * @returns undefined if the token server refuses the credentials
 * @throws Failure if it does anything else than answer
 */
export async function exchangeToken(
  wire: Wire,
  upstream: Upstream,
  challenge: Challenge & { readonly scheme: 'bearer' },
  scopes: readonly string[],
): Promise<Token | undefined> {
  const url = realmOf(challenge.realm, upstream);
  if (challenge.service !== undefined) url.searchParams.set('service', challenge.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const basic = basicHeader(upstream.credentials);
  const headers = {
    accept: 'application/json',
    ...(basic === undefined ? {} : { authorization: basic }),
  };
  const askedAt = performance.now();
  // Not the signal of one request: several may wait for the same token.
  const signal = AbortSignal.timeout(exchangeWithinMs);
  const response = await wire.send({ method: 'GET', url, headers }, signal);
  if (response.statusCode === 401 || response.statusCode === 403) {
    await discard(response);
    return undefined;
  }
  if (response.statusCode !== 200) {
    await discard(response);
    throw noToken(`answers with ${response.statusCode}`);
  }
  const body = parse(await readBody(response, maximumTokenBytes));
  const value = body?.token ?? body?.access_token ?? '';
  // Anything else would not be a header, or would be two.
  if (!body || !/^[\x21-\x7e]+$/.test(value)) throw noToken('answers with no token');
  // A tenth earlier than it says, for the time a request is under way.
  return { value, goodUntil: askedAt + body.expires_in * 900 };
}

export function basicHeader(credentials: Upstream['credentials']): string | undefined {
  if (!credentials) return undefined;
  const pair = `${credentials.username}:${credentials.password}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

/** Credentials go to no realm in clear text, unless the registry itself is spoken to like that. */
function realmOf(realm: string, upstream: Upstream): URL {
  const url = URL.parse(realm);
  const allowed = upstream.origin.startsWith('http:') ? ['https:', 'http:'] : ['https:'];
  if (!url || !allowed.includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw noToken('has no address that credentials may go to');
  }
  return url;
}

function noToken(how: string): Failure {
  return new Failure(502, 'UNAVAILABLE', `the token server ${how}`, {
    reason: 'upstream_unavailable',
  });
}

function parse(bytes: Buffer): z.output<typeof tokenSchema> | undefined {
  try {
    return tokenSchema.safeParse(JSON.parse(bytes.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
