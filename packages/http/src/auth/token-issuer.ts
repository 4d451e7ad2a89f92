import { type CryptoKey, SignJWT } from 'jose';
import type { Scope } from './principal.ts';

export interface TokenIssuerOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly key: CryptoKey;
  readonly algorithm: string;
}

export interface TokenGrant {
  readonly tenantId: string;
  readonly subject: string;
  readonly scopes: readonly Scope[];
  readonly repository?: string;
  readonly expiresInSeconds: number;
}

export interface TokenIssuer {
  issue(grant: TokenGrant): Promise<string>;
}

/** Signs tokens that {@link createAuthenticator} with the same issuer and audience accepts. */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  return {
    issue(grant) {
      return new SignJWT({
        tenant: grant.tenantId,
        scope: grant.scopes.join(' '),
        ...(grant.repository === undefined ? {} : { repository: grant.repository }),
      })
        .setProtectedHeader({ alg: options.algorithm, typ: 'JWT' })
        .setIssuer(options.issuer)
        .setAudience(options.audience)
        .setSubject(grant.subject)
        .setIssuedAt()
        .setExpirationTime(`${grant.expiresInSeconds}s`)
        .sign(options.key);
    },
  };
}
