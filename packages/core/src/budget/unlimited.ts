import type { BudgetPolicy } from '../contracts/budget-policy.ts';
import { limitFor } from './period.ts';

/** Everything is free, so nothing is ever refused. */
export function createUnlimitedBudget(): BudgetPolicy {
  return {
    name: 'unlimited',
    currency: 'USD',
    alertAt: [],
    quote: () => 0,
    charge: () => 0,
    limit: (_tenantId, now) => limitFor('none', null, now),
  };
}
