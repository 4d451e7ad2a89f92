import { z } from 'zod';
import { CygniError } from '../errors.ts';

// A file name ends at 255 bytes.
const segment = '[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}';
const keySchema = z
  .string()
  .max(512)
  .regex(new RegExp(`^${segment}(/${segment})*$`));
const prefixSchema = z
  .string()
  .max(512)
  .regex(new RegExp(`^(${segment}/)*(${segment})?$`));

/** A key that means the same to a file system, a URL and an object store. @throws `invalid_input` */
export function parseArtifactKey(key: string): string {
  const parsed = keySchema.safeParse(key);
  if (!parsed.success) throw new CygniError('invalid_input', 'malformed artifact key');
  return parsed.data;
}

/** The beginning of a key; empty, of every key. @throws `invalid_input` */
export function parseArtifactPrefix(prefix: string): string {
  const parsed = prefixSchema.safeParse(prefix);
  if (!parsed.success) throw new CygniError('invalid_input', 'malformed artifact prefix');
  return parsed.data;
}
