import type { BudgetLimit } from '../contracts/budget-policy.ts';
import type { BudgetChange, Reservation, Settlement } from '../contracts/store.ts';
import { CygniError, preconditionError } from '../errors.ts';
import { type Account, isSameAccount } from '../model/budget.ts';
import { type AccountRecord, type Hold, keyOf, record, type StoreState } from './store-state.ts';

/** The account of the period; made on first use. Its cap is the one that it was last reserved under. */
export function openAccount(
  state: StoreState,
  tenantId: string,
  currency: string,
  limit: BudgetLimit,
): AccountRecord {
  const periodStart = normalized(limit.periodStart);
  const key = keyOf(tenantId, currency, periodStart);
  const own = state.budgets.get(keyOf(tenantId, currency));
  const found = state.accounts.get(key) ?? {
    ownCap: own !== undefined,
    alerted: { percent: 0, cap: null },
    account: {
      tenantId,
      currency,
      limit: own !== undefined ? own : limit.cap,
      spent: 0,
      reserved: 0,
      periodStart,
      periodEnd: limit.periodEnd && normalized(limit.periodEnd),
    },
  };
  state.accounts.set(key, found);
  return found;
}

/** The account as it is now: under the policy's cap where the tenant has none of its own. */
export function underLimit({ account, ownCap }: AccountRecord, { cap }: BudgetLimit): Account {
  return ownCap ? account : { ...account, limit: cap };
}

/** @param freed what the same step gives back before. @throws `budget_exceeded` */
export function mustCover(account: Account, amount: number, freed = 0): void {
  const { limit, spent, currency, periodEnd } = account;
  const reserved = account.reserved - freed;
  if (limit === null || limit - spent - reserved >= amount) return;
  throw new CygniError('budget_exceeded', 'the budget does not cover this', {
    budget: { currency, limit, spent, reserved, estimate: amount, resetsAt: periodEnd },
  });
}

export function hold(
  state: StoreState,
  workId: string,
  account: AccountRecord,
  { amount, limit }: Reservation,
): void {
  const found = underLimit(account, limit);
  account.account = { ...found, reserved: found.reserved + amount };
  state.holds.set(workId, { account, amount, open: true });
}

/** Closes the hold and returns what was charged: never more than was held. */
export function settle(
  state: StoreState,
  workId: string,
  { charge, alertAt = [] }: Settlement,
): number {
  const found = state.holds.get(workId);
  if (!found?.open) return 0;
  found.open = false;
  const charged = Math.min(charge, found.amount);
  const { account } = found.account;
  found.account.account = {
    ...account,
    reserved: account.reserved - found.amount,
    spent: account.spent + charged,
  };
  alert(state, found.account, account.spent, alertAt);
  return charged;
}

/** Records an event for each threshold that is reached and was not told of yet. */
function alert(
  state: StoreState,
  found: AccountRecord,
  spentBefore: number,
  alertAt: readonly number[],
): void {
  const { account, alerted } = found;
  const { tenantId, currency, limit, spent, reserved, periodStart } = account;
  if (limit === null) {
    found.alerted = { percent: 0, cap: null };
    return;
  }
  const raised = alerted.cap !== null && limit > alerted.cap;
  const from = raised
    ? Math.min(alerted.percent, Math.floor((spentBefore * 100) / limit))
    : alerted.percent;
  const reached = alertAt.filter(
    (percent) => percent > from && spent > 0 && spent * 100 >= limit * percent,
  );
  found.alerted = { percent: Math.max(from, ...reached), cap: limit };
  for (const percent of reached) {
    const data = { percent, limit, spent, reserved, currency, periodStart };
    record(state, { tenantId, type: 'budget.threshold', subject: tenantId, data });
  }
}

export function openHold(state: StoreState, workId: string): Hold | undefined {
  const found = state.holds.get(workId);
  return found?.open ? found : undefined;
}

export function setBudget(
  state: StoreState,
  tenantId: string,
  currency: string,
  limit: BudgetLimit,
  { cap, expected }: BudgetChange,
): Account {
  const current = openAccount(state, tenantId, currency, limit);
  if (expected && !isSameAccount(underLimit(current, limit), expected)) throw preconditionError();
  state.budgets.set(keyOf(tenantId, currency), cap);
  for (const each of state.accounts.values()) {
    const { account } = each;
    if (account.tenantId !== tenantId || account.currency !== currency) continue;
    if (account.periodStart < current.account.periodStart) continue;
    each.account = { ...account, limit: cap };
    each.ownCap = true;
  }
  const data = { currency, limit: cap };
  record(state, { tenantId, type: 'budget.changed', subject: tenantId, data });
  return current.account;
}

function normalized(time: string): string {
  return new Date(time).toISOString();
}
