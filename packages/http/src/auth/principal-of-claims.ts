import { tenantIdSchema } from '@cygni/core';
import type { JWTPayload } from 'jose';
import { z } from 'zod';
import type { ClaimMatch, ResolvedIssuer } from './issuers.ts';
import { type Principal, type Scope, scopes } from './principal.ts';

const ownClaimsSchema = z.object({
  sub: z.string().min(1),
  tenant: tenantIdSchema,
  scope: z.string(),
  repository: z.string().optional(),
  exp: z.number(),
});
const foreignClaimsSchema = z.looseObject({ sub: z.string().min(1), exp: z.number() });

/** Who bears a token whose signature and dates are good. Null: nobody that its issuer may speak for. */
export function principalOfClaims(
  { grants }: Pick<ResolvedIssuer, 'grants'>,
  payload: JWTPayload,
): Principal | null {
  if (grants === undefined) {
    const claims = ownClaimsSchema.parse(payload);
    return {
      tenantId: claims.tenant,
      subject: claims.sub,
      scopes: new Set(claims.scope.split(' ').filter(isScope)),
      repository: claims.repository ?? null,
      expiresAt: claims.exp,
    };
  }
  const claims = foreignClaimsSchema.parse(payload);
  const grant = grants.find(({ match }) => matches(match, claims));
  if (!grant) return null;
  return {
    tenantId: grant.tenantId,
    subject: claims.sub,
    scopes: new Set(grant.scopes),
    repository: null,
    expiresAt: claims.exp,
  };
}

function matches(match: ClaimMatch, claims: unknown): boolean {
  if (typeof claims !== 'object' || claims === null) return false;
  return Object.entries(match).every(([name, wanted]) => {
    const claim: unknown = Object.hasOwn(claims, name) ? Reflect.get(claims, name) : undefined;
    return typeof wanted === 'object' ? matches(wanted, claim) : claim === wanted;
  });
}

function isScope(word: string): word is Scope {
  return scopes.some((scope) => scope === word);
}
