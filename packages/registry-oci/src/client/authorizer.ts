import { createHash } from 'node:crypto';
import { CygniError, type RepositoryLocation } from '@cygni/core';
import { z } from 'zod';
import { type Challenge, parseChallenges } from './challenge.ts';
import { endpointOf } from './endpoint.ts';
import { discard, type Exchange, exchange, failureOf, readBody, type Wire } from './exchange.ts';
import { isIdentityToken } from './identity-token.ts';

export interface Authorizer {
  /** The Authorization header that worked last time, if it is still good. */
  remembered(location: RepositoryLocation, scopes: readonly string[]): string | undefined;

  /**
   * Answers a 401: finds the header that its challenge asks for. Undefined where there is none,
   * or only the one that has just been refused.
   * @throws ResponseFailure if the token server refuses, `forbidden` if there is none to trust
   */
  answer(
    location: RepositoryLocation,
    scopes: readonly string[],
    challenge: string,
    refused: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined>;
}

interface Remembered {
  readonly header: string;
  /** On the clock of performance.now(). */
  readonly goodUntil: number;
}

const maximumRemembered = 1000;
const maximumTokenBytes = 1024 * 1024;
const tokenSchema = z
  .object({
    token: z.string().optional(),
    access_token: z.string().optional(),
    expires_in: z.number().positive().optional(),
  })
  .transform((body) => ({
    value: body.token ?? body.access_token ?? '',
    // The distribution spec's default where the server names none.
    seconds: body.expires_in ?? 60,
  }));

/** Keeps one header for each registry, credentials and scope; the oldest is forgotten first. */
export function createAuthorizer(wire: Wire): Authorizer {
  const known = new Map<string, Remembered>();

  function remember(key: string, header: string, goodForMs: number): string {
    known.delete(key);
    if (known.size >= maximumRemembered) {
      const oldest = known.keys().next();
      if (!oldest.done) known.delete(oldest.value);
    }
    known.set(key, { header, goodUntil: performance.now() + goodForMs });
    return header;
  }

  function recall(key: string): string | undefined {
    const found = known.get(key);
    if (!found) return undefined;
    if (found.goodUntil > performance.now()) return found.header;
    known.delete(key);
    return undefined;
  }

  return {
    remembered: (location, scopes) => recall(keyOf(location, scopes)),

    async answer(location, scopes, header, refused, signal) {
      const key = keyOf(location, scopes);
      const current = recall(key);
      // Another call may have got a new one since.
      if (current !== undefined && current !== refused) return current;
      known.delete(key);

      const challenges = parseChallenges(header);
      const bearer = challenges.find((each) => each.scheme === 'bearer');
      if (bearer) {
        const token = await fetchToken(wire, location, bearer, scopes, signal);
        // A tenth earlier than the server says, for the time a request is under way.
        return remember(key, `Bearer ${token.value}`, token.seconds * 900);
      }
      const basic = basicHeader(location);
      const offered = challenges.some((each) => each.scheme === 'basic');
      if (!offered || basic === undefined || basic === refused) return undefined;
      return remember(key, basic, Number.POSITIVE_INFINITY);
    },
  };
}

async function fetchToken(
  wire: Wire,
  location: RepositoryLocation,
  challenge: Challenge,
  scopes: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly value: string; readonly seconds: number }> {
  const url = realmOf(challenge, location);
  const service = challenge.parameters.get('service');
  const asked = challenge.parameters.get('scope')?.split(' ') ?? [];
  const wanted = [...new Set([...asked, ...scopes])].filter((scope) => scope !== '');
  const identityToken = identityTokenOf(location);
  const request =
    identityToken === undefined
      ? tokenRequest(url, service, wanted, basicHeader(location))
      : refreshRequest(url, service, wanted, identityToken);
  const response = await exchange(wire, endpointOf(location).origin, request, signal);
  if (response.statusCode >= 300 && response.statusCode < 400) {
    await discard(response);
    throw refusedBy('has a token server that redirects');
  }
  if (response.statusCode !== 200) throw await failureOf(response);
  const token = parseToken(await readBody(response, maximumTokenBytes));
  // Anything else would not be a header, or would be two.
  if (!token || !/^[\x21-\x7e]+$/.test(token.value)) {
    throw refusedBy('has a token server that answers with no token');
  }
  return token;
}

/** The distribution project's "Token authentication specification". */
function tokenRequest(
  realm: URL,
  service: string | undefined,
  scopes: readonly string[],
  basic: string | undefined,
): Exchange {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const authorization = basic === undefined ? {} : { authorization: basic };
  return { method: 'GET', url, headers: { accept: 'application/json', ...authorization } };
}

/** The distribution project's "OAuth2 token authentication"; `service` and `client_id` must be there. */
function refreshRequest(
  url: URL,
  service: string | undefined,
  scopes: readonly string[],
  identityToken: string,
): Exchange {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    service: service ?? '',
    client_id: 'cygni',
    scope: scopes.join(' '),
    refresh_token: identityToken,
  });
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  };
  return { method: 'POST', url, headers, body: Buffer.from(form.toString()) };
}

/** Credentials go to no realm in clear text, unless the registry itself is spoken to like that. */
function realmOf(challenge: Challenge, location: RepositoryLocation): URL {
  const url = URL.parse(challenge.parameters.get('realm') ?? '');
  const allowed = location.insecure ? ['https:', 'http:'] : ['https:'];
  if (!url || !allowed.includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw refusedBy('names no token server that credentials may go to');
  }
  return url;
}

function refusedBy(how: string): CygniError {
  return new CygniError('forbidden', `the registry ${how}`);
}

function parseToken(bytes: Buffer): z.output<typeof tokenSchema> | undefined {
  try {
    return tokenSchema.safeParse(JSON.parse(bytes.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}

/** An identity token is no password: it goes to the token server only. */
function basicHeader({ credentials }: RepositoryLocation): string | undefined {
  if (!credentials || isIdentityToken(credentials)) return undefined;
  const { username, password } = credentials;
  if (username === '' && password === '') return undefined;
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}

function identityTokenOf({ credentials }: RepositoryLocation): string | undefined {
  return credentials && isIdentityToken(credentials) ? credentials.password : undefined;
}

/** Who asks is part of the key: one caller's token never serves another. The password is hashed, so that no dump of the map shows it. */
function keyOf(location: RepositoryLocation, scopes: readonly string[]): string {
  const { username = '', password = '' } = location.credentials ?? {};
  const secret = createHash('sha256')
    .update(JSON.stringify([username, password]))
    .digest('hex');
  return JSON.stringify([location.host, location.insecure, secret, [...scopes].sort()]);
}
