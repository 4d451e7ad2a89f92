import { tenantIdSchema } from '@cygni/core';
import type { CryptoKey, JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { type Scope, scopes } from './principal.ts';

/** A token's own word for its algorithm is never trusted, and no key that is public may be a secret one. */
const algorithmSchema = z.enum([
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
]);
export type SigningAlgorithm = z.output<typeof algorithmSchema>;

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

const jwksSchema = z.strictObject({
  /** Only fetched from here: never from where a token says. `http:` on loopback only. Redirects are not followed. */
  url: z.url().refine((url) => {
    const { protocol, hostname, username } = new URL(url);
    if (username !== '') return false;
    return protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname));
  }, 'must be https, without credentials'),
  /** Between two fetches for a key that is not known, and after one that failed. */
  cooldownSeconds: z.number().min(1).max(3_600).default(30),
  /** Keys are fetched again after this long; while that fails, those that are known stay good. */
  refreshSeconds: z.number().min(1).max(86_400).default(600),
  timeoutSeconds: z.number().min(0.1).max(60).default(5),
});
export type JwksOptions = z.input<typeof jwksSchema>;
export type ResolvedJwks = z.output<typeof jwksSchema>;

/** What claims must be, exactly: no names by pattern. Objects may have other claims too. */
export type ClaimMatch = { readonly [claim: string]: string | number | boolean | ClaimMatch };
const claimMatchSchema: z.ZodType<ClaimMatch> = z
  .record(
    z.string(),
    z.union([z.string(), z.number(), z.boolean(), z.lazy(() => claimMatchSchema)]),
  )
  .refine((match) => Object.keys(match).length > 0, 'must name a claim');

const grantSchema = z.strictObject({
  match: claimMatchSchema,
  tenantId: tenantIdSchema,
  scopes: z.array(z.enum(scopes)).min(1),
});

const commonFields = {
  issuer: z.string().min(1).max(1_000),
  audience: z.string().min(1).max(1_000),
  algorithms: z.array(algorithmSchema).min(1),
  /** The header's `typ`; null: there must be none, as in the tokens of a Kubernetes ServiceAccount. */
  typ: z.string().min(1).nullable().default('JWT'),
  /** Older tokens are refused, whatever they say of their expiry. */
  maximumAgeSeconds: z
    .number()
    .positive()
    .default(90 * 86_400),
  /**
   * Who is let in, and as what: the first one whose claims all match. Absent: the issuer is Cygni's own, whose tokens
   * say it themselves in the claims `tenant` and `scope`.
   */
  grants: z.array(grantSchema).min(1).optional(),
};

export const issuerSchema = z.strictObject({
  ...commonFields,
  key: z
    .custom<CryptoKey | JWTVerifyGetKey>(
      (value) => typeof value === 'function' || (typeof value === 'object' && value !== null),
      'a public key, or a function that finds one',
    )
    .optional(),
  jwks: jwksSchema.optional(),
});

/** Issuers as a configuration file has them: keys by address only, and grants, as a foreign issuer knows no tenants. */
export const foreignIssuersSchema = z.array(
  z.strictObject({ ...commonFields, jwks: jwksSchema, grants: z.array(grantSchema).min(1) }),
);

/** Who may issue tokens, and what they open. */
export interface TrustedIssuer {
  /** `iss` of its tokens. */
  readonly issuer: string;
  /** Must be in `aud` of a token. */
  readonly audience: string;
  readonly algorithms: readonly SigningAlgorithm[];
  /** The public key, or a function that finds it (jose's `createLocalJWKSet`). This or `jwks`. */
  readonly key?: CryptoKey | JWTVerifyGetKey;
  readonly jwks?: JwksOptions;
  /** The header's `typ`. Null: there must be none. Default `JWT`. */
  readonly typ?: string | null;
  /** Older tokens are refused, whatever they say of their expiry. Default 90 days. */
  readonly maximumAgeSeconds?: number;
  /**
   * Who is let in, and as what: the first one whose claims all match. Without it the tokens say it themselves, in the
   * claims `tenant` and `scope`: only for an issuer that is trusted with every tenant.
   */
  readonly grants?: readonly Grant[];
}

/** What a foreign issuer's token opens if its claims match. */
export interface Grant {
  readonly match: ClaimMatch;
  readonly tenantId: string;
  readonly scopes: readonly Scope[];
}

export type ResolvedIssuer = z.output<typeof issuerSchema>;
