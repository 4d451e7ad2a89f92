import { z } from 'zod';
import { idSchema } from './names.ts';

export const gitOriginSchema = z.strictObject({
  url: z.string(),
  /** As it was asked for; null: the repository's default branch. */
  ref: z.string().nullable(),
  /** What the ref meant when it was read: 40 or 64 lower-case hex digits. */
  commit: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/),
});
export type GitOrigin = z.output<typeof gitOriginSchema>;

export const sourceSchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  /** Where the artifact store keeps it. */
  key: z.string(),
  sizeBytes: z.int().nonnegative(),
  /** Lower-case hex. */
  sha256: z.string(),
  /** Where it was read from; null: it was uploaded. */
  git: gitOriginSchema.nullable(),
  createdAt: z.iso.datetime(),
});
/** A source archive (tar, gzip-compressed). */
export type Source = z.output<typeof sourceSchema>;

export const gitSourceRequestSchema = z.strictObject({
  git: z.strictObject({
    url: z.string().min(1).max(2_048),
    /** A branch, a tag or a whole commit. Default: the repository's default branch. */
    ref: z.string().min(1).max(255).nullable().default(null),
  }),
});
export type GitSourceRequest = z.output<typeof gitSourceRequestSchema>;
