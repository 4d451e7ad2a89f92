import { createHash } from 'node:crypto';
import type { Principal } from './principal.ts';

const maximumTokens = 10_000;
/** The token of a client that asks now and then is not kept for as long as it is good. */
const rememberMs = 30_000;

interface Verified {
  readonly principal: Principal;
  /** On the monotonic clock. */
  readonly until: number;
}

/**
 * The tokens that were found good a moment ago: a signature costs more to check than most requests cost otherwise.
 * Holds hashes, not tokens. Whether a token has expired is for the caller to look.
 */
export function createVerifiedTokens(monotonic: () => number = () => performance.now()) {
  const verified = new Map<string, Verified>();
  const keyOf = (token: string) => createHash('sha256').update(token).digest('base64');
  return {
    find(token: string): Principal | undefined {
      const key = keyOf(token);
      const found = verified.get(key);
      if (!found) return undefined;
      if (monotonic() < found.until) return found.principal;
      verified.delete(key);
      return undefined;
    },
    add(token: string, principal: Principal): void {
      if (verified.size >= maximumTokens) {
        const [oldest] = verified.keys();
        if (oldest !== undefined) verified.delete(oldest);
      }
      verified.set(keyOf(token), { principal, until: monotonic() + rememberMs });
    },
  };
}
