import type { Logger } from '@cygni/core';
import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { ResolvedJwks } from './issuers.ts';

/**
 * Finds keys in the JWKS at a fixed address. It is fetched for a key that is not known at most once per cooldown,
 * also while the fetch fails, and again when it is old; keys that are known outlive an outage of the issuer.
 */
export function createJwksKeys(
  { url, cooldownSeconds, refreshSeconds, timeoutSeconds }: ResolvedJwks,
  log: Logger,
): JWTVerifyGetKey {
  const set = createRemoteJWKSet(new URL(url), {
    cooldownDuration: cooldownSeconds * 1000,
    timeoutDuration: Math.ceil(timeoutSeconds * 1000),
    // What is old is fetched again here, so that a failure does not take the known keys away.
    cacheMaxAge: Number.POSITIVE_INFINITY,
  });
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;

  const coolingDown = () => Date.now() - attemptedAt < cooldownSeconds * 1000;

  async function load(): Promise<void> {
    attemptedAt = Date.now();
    try {
      await set.reload();
      fetchedAt = Date.now();
    } catch (err) {
      log.warn({ err, url }, 'the keys of an issuer could not be fetched');
      throw err;
    }
  }

  /** One fetch for all who ask meanwhile. */
  function fetchKeys(): Promise<void> {
    fetching ??= load().finally(() => {
      fetching = undefined;
    });
    return fetching;
  }

  /** Waits only while there are no keys at all. */
  async function freshen(): Promise<void> {
    if (!set.jwks()) {
      if (fetching || !coolingDown()) await fetchKeys();
      else throw new errors.JWKSNoMatchingKey('the keys are out of reach');
    } else if (Date.now() - fetchedAt > refreshSeconds * 1000 && !coolingDown()) {
      // Reported where it fails; the known keys are used meanwhile.
      fetchKeys().catch(() => {});
    }
  }

  return async (header, token) => {
    await freshen();
    try {
      return await set(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (!fetching && coolingDown()) throw error;
      await fetchKeys();
      return set(header, token);
    }
  };
}
