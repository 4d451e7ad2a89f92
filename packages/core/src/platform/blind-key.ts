import { createHash } from 'node:crypto';
import type { IdempotencyKey } from '../contracts/store.ts';

/** With the hash of the key in its place: clients put into it what they have, and a store need not know it. */
export function blindKey(idempotency: IdempotencyKey | null): IdempotencyKey | null {
  if (!idempotency) return null;
  return { ...idempotency, key: createHash('sha256').update(idempotency.key).digest('base64url') };
}
