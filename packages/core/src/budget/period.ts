import type { BudgetLimit } from '../contracts/budget-policy.ts';

/** `month`: the calendar month in UTC. `none`: one period without an end. */
export type BudgetPeriod = 'month' | 'none';

export function limitFor(period: BudgetPeriod, cap: number | null, now: Date): BudgetLimit {
  if (period === 'none') {
    return { cap, periodStart: new Date(0).toISOString(), periodEnd: null };
  }
  const year = now.getUTCFullYear();
  const month = now.getUTCMonth();
  return {
    cap,
    periodStart: new Date(Date.UTC(year, month, 1)).toISOString(),
    periodEnd: new Date(Date.UTC(year, month + 1, 1)).toISOString(),
  };
}
