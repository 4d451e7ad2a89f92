import { type BudgetPolicy, createMeteredBudget } from '@cygni/core';

export const maximumAttempts = 10;
export const buildTimeoutSeconds = 10;
/** Micro-units; enough for some fifteen builds at once. Rates are odd numbers, so that rounding shows. */
export const startingCap = 16_000_000;
/** Of the tenant that never gets more. */
export const poorCap = 3_000_000;

export function createBudget(): BudgetPolicy {
  return createMeteredBudget({
    cap: startingCap,
    buildMinute: { small: 617_333, medium: 631_777, large: 653_111 },
    storedGibibyte: 100_003,
  });
}
