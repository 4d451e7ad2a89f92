import { CygniError, tenantIdSchema } from '@cygni/core';
import { type CryptoKey, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { type Principal, type Scope, scopes } from './principal.ts';

export interface AuthenticatorOptions {
  readonly issuer: string;
  readonly audience: string;
  /** The public key, or a function that finds it (jose's `createRemoteJWKSet`, `createLocalJWKSet`). */
  readonly key: CryptoKey | JWTVerifyGetKey;
  /** The only algorithms that are accepted: a token's own word is not trusted. */
  readonly algorithms: readonly string[];
  /** Seconds. Older tokens are refused, whatever they say of their expiry. Default 90 days. */
  readonly maximumAgeSeconds?: number;
  readonly now?: () => Date;
}

export interface Authenticator {
  /** @throws `unauthenticated` for any token that is not good, without telling why */
  verify(token: string): Promise<Principal>;
}

const maximumTokenCharacters = 8_192;
const clockToleranceSeconds = 5;

const claimsSchema = z.object({
  sub: z.string().min(1),
  tenant: tenantIdSchema,
  scope: z.string(),
  repository: z.string().optional(),
  exp: z.number(),
});

function isScope(word: string): word is Scope {
  return scopes.some((scope) => scope === word);
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { key, now } = options;
  const getKey: JWTVerifyGetKey = typeof key === 'function' ? key : async () => key;
  return {
    async verify(token) {
      try {
        if (token.length > maximumTokenCharacters) throw new Error('too long');
        const { payload } = await jwtVerify(token, getKey, {
          issuer: options.issuer,
          audience: options.audience,
          algorithms: [...options.algorithms],
          requiredClaims: ['exp', 'iat', 'sub'],
          maxTokenAge: options.maximumAgeSeconds ?? 90 * 86_400,
          clockTolerance: clockToleranceSeconds,
          typ: 'JWT',
          ...(now ? { currentDate: now() } : {}),
        });
        const claims = claimsSchema.parse(payload);
        return {
          tenantId: claims.tenant,
          subject: claims.sub,
          scopes: new Set(claims.scope.split(' ').filter(isScope)),
          repository: claims.repository ?? null,
          expiresAt: claims.exp,
        };
      } catch (cause) {
        throw new CygniError('unauthenticated', 'the token is not valid', { cause });
      }
    },
  };
}
