import { z } from 'zod';
import type { BudgetPolicy, PlannedWork, Usage } from '../contracts/budget-policy.ts';
import { amountSchema, budgetOptionsSchema, parseOptions } from './parse-options.ts';
import { limitFor } from './period.ts';

const gibibyte = 1024 ** 3;
const msPerMinute = 60_000;

const meteredOptionsSchema = budgetOptionsSchema.extend({
  /** Micro-units for a minute of building, by machine size. */
  buildMinute: z
    .strictObject({ small: amountSchema, medium: amountSchema, large: amountSchema })
    .default({ small: 5_000, medium: 10_000, large: 20_000 }),
  /** Micro-units for a GiB of image pushed. */
  storedGibibyte: amountSchema.default(100_000),
  /** Micro-units for a deployment. */
  deployment: amountSchema.default(1_000),
});
export type MeteredBudgetOptions = z.input<typeof meteredOptionsSchema>;

/** Prices by use: build minutes by machine size, GiB stored, deployments. Amounts are rounded up to a micro-unit. @throws `invalid_configuration` */
export function createMeteredBudget(options: MeteredBudgetOptions = {}): BudgetPolicy {
  const rates = parseOptions(meteredOptionsSchema, options, 'createMeteredBudget');

  function price(machine: keyof typeof rates.buildMinute, durationMs: number, bytes: number) {
    return (
      Math.ceil((durationMs * rates.buildMinute[machine]) / msPerMinute) +
      Math.ceil((bytes * rates.storedGibibyte) / gibibyte)
    );
  }

  return {
    name: 'metered',
    currency: rates.currency,
    alertAt: rates.alertAt,
    quote(work: PlannedWork) {
      if (work.kind === 'deployment') return rates.deployment;
      const durationMs = work.timeoutSeconds * 1000 * work.maximumAttempts;
      return price(work.machine, durationMs, work.maximumImageBytes);
    },
    charge(usage: Usage) {
      if (usage.kind === 'deployment') return rates.deployment;
      return price(usage.machine, usage.durationMs, usage.imageBytes);
    },
    limit: (_tenantId, now) => limitFor(rates.period, rates.cap, now),
  };
}
