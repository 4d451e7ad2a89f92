export {
  type Authenticator,
  type AuthenticatorOptions,
  createAuthenticator,
} from './auth/authenticator.ts';
export {
  type ClaimMatch,
  foreignIssuersSchema,
  type Grant,
  type JwksOptions,
  type SigningAlgorithm,
  type TrustedIssuer,
} from './auth/issuers.ts';
export { type Principal, type Scope, scopes } from './auth/principal.ts';
export {
  createTokenIssuer,
  type TokenGrant,
  type TokenIssuer,
  type TokenIssuerOptions,
} from './auth/token-issuer.ts';
export { createRouter, type RouterOptions } from './create-router.ts';
export type { RateLimits } from './limit-requests.ts';
