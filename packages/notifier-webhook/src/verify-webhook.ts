import { timingSafeEqual } from 'node:crypto';
import { CygniError } from '@cygni/core';
import { z } from 'zod';
import { sign } from './sign.ts';

const toleranceSeconds = 300;

const headersSchema = z.object({
  /** Without a full stop, which would let the parts of what is signed run into each other. */
  'webhook-id': z.string().regex(/^[\w-]{1,200}$/),
  'webhook-timestamp': z.string().regex(/^\d{1,12}$/),
  'webhook-signature': z.string().max(2_000),
});
export type WebhookHeaders = z.input<typeof headersSchema>;

/**
 * For whoever receives webhooks: whether a message is from the holder of the secret, as it was sent, and at most five
 * minutes old. Compares in constant time. Remember `webhook-id` for some days: a message may come more than once.
 * @param body as it was received, before it is parsed
 * @param now seconds since the epoch. Default: the machine's clock
 * @throws `unauthenticated`, without telling why
 */
export function verifyWebhook(
  secret: string,
  headers: Readonly<Record<string, unknown>>,
  body: string,
  now: number = Date.now() / 1000,
): void {
  const parsed = headersSchema.safeParse(headers);
  if (!parsed.success) throw refused();
  const { 'webhook-id': id, 'webhook-timestamp': timestamp } = parsed.data;
  const seconds = Number(timestamp);
  const expected = Buffer.from(sign(secret, id, seconds, body));
  const signatures = parsed.data['webhook-signature'].split(' ').map((each) => Buffer.from(each));
  const matching = signatures.filter(
    (each) => each.length === expected.length && timingSafeEqual(each, expected),
  );
  if (matching.length === 0 || Math.abs(now - seconds) > toleranceSeconds) throw refused();
}

function refused(): CygniError {
  return new CygniError('unauthenticated', 'not a webhook that can be trusted');
}
