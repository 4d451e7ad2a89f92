import { z } from 'zod';
import { idSchema } from './names.ts';

export const sourceSchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  /** Where the artifact store keeps it. */
  key: z.string(),
  sizeBytes: z.int().nonnegative(),
  /** Lower-case hex. */
  sha256: z.string(),
  createdAt: z.iso.datetime(),
});
/** An uploaded source archive (tar, gzip-compressed). */
export type Source = z.output<typeof sourceSchema>;
