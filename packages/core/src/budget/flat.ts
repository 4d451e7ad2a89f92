import type { z } from 'zod';
import type { BudgetPolicy } from '../contracts/budget-policy.ts';
import { amountSchema, budgetOptionsSchema, parseOptions } from './parse-options.ts';
import { limitFor } from './period.ts';

const flatOptionsSchema = budgetOptionsSchema.extend({
  /** Micro-units for a build, whatever it takes. */
  build: amountSchema,
  /** Micro-units for a deployment. */
  deployment: amountSchema.default(0),
});
export type FlatBudgetOptions = z.input<typeof flatOptionsSchema>;

/** One price for a build and one for a deployment. @throws `invalid_configuration` */
export function createFlatBudget(options: FlatBudgetOptions): BudgetPolicy {
  const prices = parseOptions(flatOptionsSchema, options, 'createFlatBudget');
  return {
    name: 'flat',
    currency: prices.currency,
    alertAt: prices.alertAt,
    quote: (work) => prices[work.kind],
    charge: (usage) => prices[usage.kind],
    limit: (_tenantId, now) => limitFor(prices.period, prices.cap, now),
  };
}
