import { z } from 'zod';
import { CygniError } from '../errors.ts';

/** What values are sealed with. */
export interface SealingKey {
  /** Stored with each value: letters, digits, `_` and `-`. */
  readonly id: string;
  /** 32 random bytes at least. */
  readonly key: Uint8Array;
}

export interface SealedStoreOptions {
  /** The first one seals, each of them opens. One that is taken away takes the values with it that it has sealed. */
  readonly keys: readonly SealingKey[];
}

const keySchema = z.strictObject({
  id: z.string().regex(/^[\w-]{1,64}$/),
  key: z.instanceof(Uint8Array).refine((key) => key.byteLength >= 32, '32 bytes at least'),
});

const optionsSchema = z.strictObject({
  keys: z
    .tuple([keySchema], keySchema)
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'ids that differ'),
});

/** @throws `invalid_configuration`; it names the option and repeats no key */
export function resolveOptions(options: SealedStoreOptions): z.output<typeof optionsSchema> {
  const parsed = optionsSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CygniError('invalid_configuration', `sealed store: ${problems.join('; ')}`);
}
