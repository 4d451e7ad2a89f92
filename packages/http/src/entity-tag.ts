import { createHash } from 'node:crypto';
import { z } from 'zod';

export const conditionHeaderSchema = z.object({
  'if-match': z
    .string()
    .max(1_000)
    .optional()
    .describe('Act only while the resource has one of these entity tags, else answer 412.'),
});

/** A strong entity tag: another one for each state of a resource that a client can see. */
export function entityTag(resource: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(resource));
  return `"${hash.digest('base64url').slice(0, 27)}"`;
}
