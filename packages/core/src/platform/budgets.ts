import type { Call } from '../contracts/call.ts';
import type { Account, BudgetRequest } from '../model/budget.ts';
import type { PlatformContext } from './context.ts';

export interface Budgets {
  get(tenantId: string, call: Call): Promise<Account>;
  set(tenantId: string, request: BudgetRequest, call: Call): Promise<Account>;
}

export function createBudgets({ store, budget, clock }: PlatformContext): Budgets {
  return {
    get(tenantId, call) {
      const limit = budget.limit(tenantId, clock.now());
      return store.getAccount(tenantId, budget.currency, limit, call);
    },
    set(tenantId, request, call) {
      const limit = budget.limit(tenantId, clock.now());
      return store.setBudget(tenantId, budget.currency, limit, request.limit, call);
    },
  };
}
