import type { Call } from '../contracts/call.ts';
import type { Account, BudgetRequest } from '../model/budget.ts';
import type { PlatformContext } from './context.ts';

export interface Budgets {
  get(tenantId: string, call: Call): Promise<Account>;
  /** @param expected change nothing unless the account is as it was here. @throws `precondition_failed` */
  set(
    tenantId: string,
    request: BudgetRequest,
    expected: Account | null,
    call: Call,
  ): Promise<Account>;
}

export function createBudgets({ store, budget, clock }: PlatformContext): Budgets {
  return {
    get(tenantId, call) {
      const limit = budget.limit(tenantId, clock.now());
      return store.getAccount(tenantId, budget.currency, limit, call);
    },
    set(tenantId, request, expected, call) {
      const limit = budget.limit(tenantId, clock.now());
      const change = { cap: request.limit, ...(expected && { expected }) };
      return store.setBudget(tenantId, budget.currency, limit, change, call);
    },
  };
}
