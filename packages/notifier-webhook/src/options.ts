import { CygniError } from '@cygni/core';
import type { Lookup } from '@cygni/core/outbound';
import { z } from 'zod';

export interface WebhookKey {
  /** Stored with each secret that is made of it. */
  readonly id: string;
  /** 32 bytes at least. */
  readonly key: Uint8Array;
}

export interface WebhookNotifierOptions {
  /**
   * What endpoints' secrets are derived from: the first one's for new secrets. One that is taken away takes the secrets
   * with it that were made of it; rotate those first.
   */
  readonly keys: readonly WebhookKey[];
  /** Hosts by name, without a port, that may be on private networks and may be called by plain http. Default: none. */
  readonly allowedHosts?: readonly string[];
  /** PEM; authorities that endpoints' certificates may be signed by. Default: those that Node trusts. */
  readonly ca?: string;
  /** For one call, from DNS to answer. Default 15 s. */
  readonly timeoutMs?: number;
  /** Default: as the system resolves names. */
  readonly lookup?: Lookup;
}

const optionsSchema = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[\w-]{1,64}$/),
        key: z.instanceof(Uint8Array).refine((key) => key.byteLength >= 32, '32 bytes at least'),
      }),
    )
    .min(1)
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'ids that differ'),
  allowedHosts: z.array(z.string().min(1).max(253)).default([]),
  ca: z.string().optional(),
  timeoutMs: z.int().min(1).max(25_000).default(15_000),
  lookup: z.custom<Lookup>((value) => typeof value === 'function').optional(),
});

export type ResolvedOptions = z.output<typeof optionsSchema>;

/** @throws `invalid_configuration`; it names the option and repeats no key */
export function resolveOptions(options: WebhookNotifierOptions): ResolvedOptions {
  const parsed = optionsSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CygniError('invalid_configuration', `webhooks: ${problems.join('; ')}`);
}
