import { type Challenge, challengeIn } from './challenge.ts';
import type { Credentials, Upstream } from './configuration.ts';
import type { ConfigurationFile } from './configuration-file.ts';
import { Failure } from './failure.ts';
import { discard } from './read-body.ts';
import { basicHeader, exchangeToken, type Token } from './token-exchange.ts';
import type { Wire } from './upstream-request.ts';

/** What a request was sent with. */
export interface Authorization {
  readonly header: string | undefined;
  readonly credentials: Credentials | undefined;
  /** Made for this request, so that asking for another one is of no use. */
  readonly fresh: boolean;
}

interface Refusal {
  readonly status: number;
  readonly challenge: string | undefined;
  /** The upstream's own words; empty for an answer without a body. */
  readonly text: string;
}

export interface Authorizer {
  /**
   * What to send a request with. Waits for credentials that ran out to be renewed.
   * @throws Failure with `credentials_expired` or `credentials_refused`
   */
  authorize(name: string, scopes: readonly string[], signal: AbortSignal): Promise<Authorization>;
  /**
   * Answers a 401 or 403. True: the request may succeed if it is authorized anew.
   * @throws Failure with `credentials_expired` or `credentials_refused`
   */
  recover(
    name: string,
    scopes: readonly string[],
    sent: Authorization,
    refusal: Refusal,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** The request was let in. */
  accepted(name: string, sent: Authorization): void;
  /** Whether the upstream has let anything in yet, so that it is known how it wants to be asked. */
  proven(name: string): boolean;
  /** Everything that must never be shown. */
  secrets(sent: Authorization): readonly string[];
}

interface UpstreamState {
  challenge: Challenge | undefined;
  proven: boolean;
  /** The last credentials that the upstream let in. */
  accepted: string | undefined;
  readonly tokens: Map<string, Token>;
  readonly exchanges: Map<string, Promise<Token | undefined>>;
}

/** From then on every request looks whether the platform has renewed them. */
const renewalMarginMs = 120_000;
const maximumTokens = 100;

export function createAuthorizer(file: ConfigurationFile, wire: Wire): Authorizer {
  const states = new Map<string, UpstreamState>();

  function stateOf(name: string): UpstreamState {
    let state = states.get(name);
    if (!state) {
      state = {
        challenge: undefined,
        proven: false,
        accepted: undefined,
        tokens: new Map(),
        exchanges: new Map(),
      };
      states.set(name, state);
    }
    return state;
  }

  function upstreamOf(name: string): Upstream {
    const found = file.current().upstreams.find((each) => each.name === name);
    if (found) return found;
    throw new Failure(403, 'DENIED', 'this upstream is no longer configured', {
      reason: 'not_allowed',
    });
  }

  async function currentUpstream(name: string, signal: AbortSignal): Promise<Upstream> {
    let upstream = upstreamOf(name);
    if (remainingMs(upstream.credentials) > renewalMarginMs) return upstream;
    await file.read();
    upstream = upstreamOf(name);
    if (upstream.credentials && remainingMs(upstream.credentials) <= 0) {
      // Waited for in vain, the old ones are tried all the same: this clock may be wrong.
      await file.renewed(name, upstream.credentials, signal);
    }
    return upstreamOf(name);
  }

  /** @throws Failure with `credentials_expired` */
  async function renew(upstream: Upstream, signal: AbortSignal): Promise<void> {
    if (!upstream.credentials) return;
    const found = await file.renewed(upstream.name, upstream.credentials, signal);
    if (found) return;
    throw new Failure(
      401,
      'UNAUTHORIZED',
      `the credentials for ${upstream.name} ran out and were not renewed`,
      { reason: 'credentials_expired' },
    );
  }

  /** The upstream no longer takes these credentials: are there, or will there be, others? */
  async function replace(upstream: Upstream, expired: boolean, signal: AbortSignal): Promise<void> {
    const stale = upstream.credentials;
    if (stale) {
      await file.read();
      if (!same(upstreamOf(upstream.name).credentials, stale)) return;
      const worked = stateOf(upstream.name).accepted === JSON.stringify(stale);
      if (expired || worked || remainingMs(stale) <= 0) return renew(upstream, signal);
    }
    throw new Failure(401, 'UNAUTHORIZED', `${upstream.name} does not accept the credentials`, {
      reason: 'credentials_refused',
    });
  }

  async function tokenFor(
    upstream: Upstream,
    challenge: Challenge & { readonly scheme: 'bearer' },
    scopes: readonly string[],
  ): Promise<{ readonly token: Token; readonly fresh: boolean } | undefined> {
    const { tokens, exchanges } = stateOf(upstream.name);
    const key = [...scopes].sort().join(' ');
    const known = tokens.get(key);
    if (known && known.goodUntil > performance.now()) return { token: known, fresh: false };
    let exchange = exchanges.get(key);
    if (!exchange) {
      exchange = exchangeToken(wire, upstream, challenge, scopes).finally(() =>
        exchanges.delete(key),
      );
      exchanges.set(key, exchange);
    }
    const token = await exchange;
    if (!token) return undefined;
    tokens.delete(key);
    if (tokens.size >= maximumTokens) tokens.clear();
    tokens.set(key, token);
    return { token, fresh: true };
  }

  /** A registry that refuses the credentials themselves also refuses them at its base. */
  async function refusedAtBase(upstream: Upstream, sent: Authorization, signal: AbortSignal) {
    const url = new URL('/v2/', upstream.origin);
    const headers = sent.header === undefined ? {} : { authorization: sent.header };
    const response = await wire.send({ method: 'GET', url, headers }, signal);
    await discard(response);
    return response.statusCode === 401 || response.statusCode === 403;
  }

  return {
    async authorize(name, scopes, signal) {
      // The second round is for credentials that were replaced in the first.
      for (let round = 1; ; round += 1) {
        const upstream = await currentUpstream(name, signal);
        const { challenge } = stateOf(name);
        const { credentials } = upstream;
        if (challenge?.scheme !== 'bearer') {
          return { header: basicHeader(credentials), credentials, fresh: true };
        }
        const found = await tokenFor(upstream, challenge, scopes);
        if (found) {
          return { header: `Bearer ${found.token.value}`, credentials, fresh: found.fresh };
        }
        await replace(upstream, false, signal);
        if (round === 3) throw new Failure(401, 'UNAUTHORIZED', 'no token was given');
      }
    },

    async recover(name, scopes, sent, refusal, signal) {
      const upstream = upstreamOf(name);
      const state = stateOf(name);
      const challenge = challengeIn(refusal.challenge);
      if (refusal.status === 401 && challenge?.scheme === 'bearer') {
        const changed = state.challenge?.scheme !== 'bearer';
        state.challenge = challenge;
        if (changed) return true;
      }
      if (state.challenge?.scheme === 'bearer') {
        state.tokens.delete([...scopes].sort().join(' '));
        return !sent.fresh;
      }
      if (!sent.credentials) return false;
      if (!same(upstream.credentials, sent.credentials)) return true;
      const expired = /expired|reauthenticate/i.test(refusal.text);
      if (refusal.status === 403 && !expired && !(await refusedAtBase(upstream, sent, signal))) {
        return false;
      }
      await replace(upstream, expired, signal);
      return true;
    },

    accepted(name, sent) {
      const state = stateOf(name);
      state.proven = true;
      if (sent.credentials) state.accepted = JSON.stringify(sent.credentials);
    },

    proven: (name) => stateOf(name).proven,

    secrets(sent) {
      const every = file.current().upstreams.map((each) => each.credentials);
      const found = [...every, sent.credentials].flatMap((credentials) => {
        const pair = basicHeader(credentials)?.slice('Basic '.length);
        return credentials && pair ? [credentials.password, pair] : [];
      });
      const tokens = [...states.values()].flatMap(({ tokens }) => [...tokens.values()]);
      return [...found, ...tokens.map((each) => each.value)];
    },
  };
}

function remainingMs(credentials: Credentials | undefined): number {
  if (!credentials || credentials.expiresAt === null) return Number.POSITIVE_INFINITY;
  return Date.parse(credentials.expiresAt) - Date.now();
}

function same(one: Credentials | undefined, other: Credentials | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
