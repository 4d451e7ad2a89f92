import { hkdfSync } from 'node:crypto';
import { CygniError, type WebhookEndpoint, type WebhookSecret } from '@cygni/core';
import type { WebhookKey } from './options.ts';

const prefix = 'whsec_';
const secretBytes = 32;

/**
 * The secret of an endpoint, made of a key of the server and of names that the store keeps: nothing that is stored
 * tells it, and nothing has to be encrypted there.
 * @throws `not_found` where the server has that key no more
 */
export function deriveSecret(
  keys: readonly WebhookKey[],
  { tenantId, id }: Pick<WebhookEndpoint, 'tenantId' | 'id'>,
  secret: Pick<WebhookSecret, 'id' | 'keyId'>,
): string {
  const found = keys.find((each) => each.id === secret.keyId);
  if (!found) throw new CygniError('not_found', 'the key of this secret is not there any more');
  const info = `cygni webhook secret ${tenantId} ${id}`;
  const derived = hkdfSync('sha256', found.key, secret.id, info, secretBytes);
  return `${prefix}${Buffer.from(derived).toString('base64')}`;
}

/** @throws `invalid_input` where it is no such secret */
export function bytesOfSecret(secret: string): Buffer {
  if (!/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(secret)) {
    throw new CygniError('invalid_input', 'a webhook secret is whsec_ and base64');
  }
  return Buffer.from(secret.slice(prefix.length), 'base64');
}
