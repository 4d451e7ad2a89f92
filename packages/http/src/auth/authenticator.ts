import { CygniError, type Logger } from '@cygni/core';
import { decodeJwt, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { issuerSchema, type ResolvedIssuer, type TrustedIssuer } from './issuers.ts';
import { createJwksKeys } from './jwks-keys.ts';
import type { Principal } from './principal.ts';
import { principalOfClaims } from './principal-of-claims.ts';
import { createVerifiedTokens } from './verified-tokens.ts';

export interface AuthenticatorOptions {
  /** Each with an `issuer` of its own. */
  readonly issuers: readonly TrustedIssuer[];
  readonly log: Logger;
  readonly now?: () => Date;
}

export interface Authenticator {
  /** @throws `unauthenticated` for any token that is not good, without telling why */
  verify(token: string): Promise<Principal>;
}

const maximumTokenCharacters = 8_192;
const clockToleranceSeconds = 5;

interface Verifier {
  readonly settings: ResolvedIssuer;
  readonly key: JWTVerifyGetKey;
}

/** @throws `invalid_configuration` */
export function createAuthenticator({ issuers, log, now }: AuthenticatorOptions): Authenticator {
  const verifiers = new Map<string, Verifier>();
  for (const settings of parseIssuers(issuers)) {
    if (verifiers.has(settings.issuer)) throw wrong(`${settings.issuer} is there twice`);
    verifiers.set(settings.issuer, { settings, key: keyOf(settings, log) });
  }

  const verified = createVerifiedTokens();

  async function verify(token: string): Promise<Principal> {
    if (token.length > maximumTokenCharacters) throw new Error('too long');
    const known = verified.find(token);
    if (known && seconds(now?.() ?? new Date()) < known.expiresAt + clockToleranceSeconds) {
      return known;
    }
    const { iss } = decodeJwt(token);
    const verifier = iss === undefined ? undefined : verifiers.get(iss);
    if (!verifier) throw new Error('unknown issuer');
    const { settings, key } = verifier;
    const { payload, protectedHeader } = await jwtVerify(token, key, {
      issuer: settings.issuer,
      audience: settings.audience,
      algorithms: settings.algorithms,
      requiredClaims: ['exp', 'iat', 'sub'],
      maxTokenAge: settings.maximumAgeSeconds,
      clockTolerance: clockToleranceSeconds,
      ...(settings.typ === null ? {} : { typ: settings.typ }),
      ...(now ? { currentDate: now() } : {}),
    });
    if (settings.typ === null && protectedHeader.typ !== undefined) throw new Error('has a typ');
    const principal = principalOfClaims(settings, payload);
    if (!principal) throw new Error('no grant matches');
    // Any other key may be withdrawn by its issuer, and its tokens are then good no longer.
    if (settings.key !== undefined && typeof settings.key !== 'function') {
      verified.add(token, principal);
    }
    return principal;
  }

  return {
    async verify(token) {
      try {
        return await verify(token);
      } catch (cause) {
        throw new CygniError('unauthenticated', 'the token is not valid', { cause });
      }
    },
  };
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function parseIssuers(issuers: readonly TrustedIssuer[]): readonly ResolvedIssuer[] {
  const parsed = z.array(issuerSchema).min(1).safeParse(issuers);
  if (parsed.success) return parsed.data;
  throw wrong(
    parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
  );
}

function keyOf({ issuer, key, jwks }: ResolvedIssuer, log: Logger): JWTVerifyGetKey {
  if ((key === undefined) === (jwks === undefined)) throw wrong(`${issuer}: either key or jwks`);
  if (jwks) return createJwksKeys(jwks, log);
  return typeof key === 'function' ? key : async () => key as Exclude<typeof key, undefined>;
}

function wrong(what: string): CygniError {
  return new CygniError('invalid_configuration', `createAuthenticator: issuers: ${what}`);
}
