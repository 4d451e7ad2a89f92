import { z } from 'zod';

export const logLineSchema = z.strictObject({
  /** Grows within a build, over all its attempts. */
  sequence: z.int().positive(),
  attempt: z.int().positive(),
  /** ISO 8601 */
  time: z.string(),
  text: z.string(),
});
export type LogLine = z.output<typeof logLineSchema>;
