import { z } from 'zod';

export const accountSchema = z.strictObject({
  tenantId: z.string(),
  currency: z.string(),
  /** Micro-units; null: no cap. */
  limit: z.int().nonnegative().nullable(),
  spent: z.int().nonnegative(),
  reserved: z.int().nonnegative(),
  periodStart: z.iso.datetime(),
  periodEnd: z.iso.datetime().nullable(),
});
/** A tenant's money in one period. */
export type Account = z.output<typeof accountSchema>;

/** Whether two readings of the account of one period are the same. */
export function isSameAccount(one: Account, other: Account): boolean {
  return (
    one.periodStart === other.periodStart &&
    one.limit === other.limit &&
    one.spent === other.spent &&
    one.reserved === other.reserved
  );
}

export const budgetRequestSchema = z.strictObject({
  /** Micro-units; null takes the cap away. */
  limit: z.int().nonnegative().nullable(),
});
export type BudgetRequest = z.output<typeof budgetRequestSchema>;
