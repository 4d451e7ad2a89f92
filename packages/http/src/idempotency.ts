import { createHash } from 'node:crypto';
import { CygniError, type IdempotencyKey } from '@cygni/core';
import { z } from 'zod';
import type { Exchange } from './operation.ts';
import { parseInput } from './parse.ts';

export const idempotencyHeaderSchema = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x21-\x7e]*$/, 'must be 1 to 255 visible ASCII characters')
    .optional()
    .describe(
      'Any text of your own. The same key with the same body gives the first answer again, for 24 hours.',
    ),
});

/**
 * Acts under the request's `Idempotency-Key`, if it has one.
 * @throws `invalid_input` for the key, `conflict` while another request with it has no answer from this process: one that
 * is with another process is waited for by the store, which then gives its answer
 */
export async function actOnce<Value>(
  { request, principal, platform, inFlight }: Exchange,
  { route, body }: { readonly route: string; readonly body: unknown },
  act: (idempotency: IdempotencyKey | null) => Promise<Value>,
): Promise<Value> {
  const header = request.headers['idempotency-key'];
  const { 'idempotency-key': key } = parseInput(idempotencyHeaderSchema, {
    'idempotency-key': header,
  });
  if (key === undefined) return act(null);

  const entry = JSON.stringify([principal.tenantId, route, key]);
  if (inFlight.has(entry)) {
    const message = 'a request with this idempotency key is in flight';
    throw new CygniError('conflict', message, { retryable: true });
  }
  inFlight.add(entry);
  try {
    const fingerprint = createHash('sha256').update(JSON.stringify(body)).digest('hex');
    const retainSeconds = platform.settings.idempotencySeconds;
    return await act({ route, key, fingerprint, retainSeconds });
  } finally {
    inFlight.delete(entry);
  }
}
