import { randomBytes } from 'node:crypto';

const run = randomBytes(8).toString('hex');

/** The Dockerfile with a label below each FROM, so that no step comes from what an earlier run of the tests cached. */
export function uncached(dockerfile: string): string {
  return dockerfile.replaceAll(/^FROM .*$/gm, (from) => `${from}\nLABEL run=${run}`);
}
