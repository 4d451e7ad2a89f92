import { z } from 'zod';
import { CygniError } from '../errors.ts';

/** An amount of micro-units. */
export const amountSchema = z.int().nonnegative();

export const budgetOptionsSchema = z.strictObject({
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .default('USD'),
  /** For each tenant and period, unless a budget was set for the tenant; null: no cap. */
  cap: amountSchema.nullable().default(null),
  period: z.enum(['month', 'none']).default('month'),
  alertAt: z.array(z.int().min(1).max(100)).default([50, 75, 90, 100]),
});

/** @throws `invalid_configuration`, naming the option */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  options: unknown,
  of: string,
): z.output<Schema> {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  throw new CygniError('invalid_configuration', `${of}: ${z.prettifyError(result.error)}`);
}
