import {
  type Account,
  accountSchema,
  type BudgetLimit,
  type Call,
  CygniError,
  isSameAccount,
  preconditionError,
  type Reservation,
  type Store,
} from '@cygni/core';
import type { Session } from '../checkout.ts';
import type { Database } from '../database.ts';
import { parseRow, type Row } from '../rows.ts';
import { statement } from '../statement.ts';
import { eventOf } from './events.ts';

const columns = `
  tenant_id AS "tenantId", currency, cap AS "limit", spent, reserved,
  period_start AS "periodStart", period_end AS "periodEnd"`;

/** $4 is the policy's cap; the tenant's own takes its place. */
const account = `
   SELECT tenant_id AS "tenantId", currency, CASE WHEN own_cap THEN cap ELSE $4::bigint END AS "limit",
          spent, reserved, period_start AS "periodStart", period_end AS "periodEnd"
     FROM cygni.accounts
    WHERE tenant_id = $1 AND currency = $2 AND period_start = $3`;

const read = statement('account-read', account);

const readLocked = statement('account-read-locked', `${account} FOR UPDATE`);

/** Held by who opens an account and by who sets a budget, so that a new account never misses a new budget. */
const lockTenant = statement(
  'budget-lock',
  `SELECT pg_advisory_xact_lock(hashtextextended('cygni.budget ' || $1 || ' ' || $2, 0))`,
);

const openAccount = statement(
  'account-open',
  `INSERT INTO cygni.accounts (tenant_id, currency, period_start, period_end, cap, ceiling, own_cap)
   SELECT $1, $2, $3, $4, cap, cap, own_cap
     FROM (SELECT cap, true AS own_cap FROM cygni.budgets WHERE tenant_id = $1 AND currency = $2
           UNION ALL
           SELECT $5::bigint, false
            ORDER BY own_cap DESC
            LIMIT 1) AS budget
   ON CONFLICT DO NOTHING`,
);

const setBudget = statement(
  'budget-set',
  `INSERT INTO cygni.budgets (tenant_id, currency, cap) VALUES ($1, $2, $3)
   ON CONFLICT (tenant_id, currency) DO UPDATE SET cap = excluded.cap, updated_at = now()`,
);

/** Also in accounts of later periods, which a server whose clock is ahead may have opened. */
const capAccounts = statement(
  'budget-cap-accounts',
  `UPDATE cygni.accounts
      SET cap = $4::bigint, own_cap = true,
          ceiling = CASE WHEN $4 IS NOT NULL THEN greatest($4, spent + reserved) END
    WHERE tenant_id = $1 AND currency = $2 AND period_start >= $3
   RETURNING ${columns}`,
);

const recordEvent = statement('budget-event', eventOf({ type: 'budget.changed' }));

/**
 * $1 tenant, $2 currency, $3 period, $4 the policy's cap, $5 the amount. No row: there is no such account, or not
 * enough left in it.
 */
export const reserve = statement(
  'account-reserve',
  `UPDATE cygni.accounts
      SET reserved = reserved + $5::bigint,
          cap = CASE WHEN own_cap THEN cap ELSE $4::bigint END,
          ceiling = CASE WHEN own_cap THEN ceiling
                         WHEN $4 IS NOT NULL THEN greatest($4, spent + reserved) END
    WHERE tenant_id = $1 AND currency = $2 AND period_start = $3
      AND (CASE WHEN own_cap THEN cap ELSE $4 END IS NULL
           OR CASE WHEN own_cap THEN cap ELSE $4 END - spent - reserved >= $5)
   RETURNING ${columns}`,
);

export async function ensureAccount(
  session: Session,
  tenantId: string,
  currency: string,
  limit: BudgetLimit,
): Promise<void> {
  await session.run(lockTenant, [tenantId, currency]);
  const { periodStart, periodEnd, cap } = limit;
  await session.run(openAccount, [tenantId, currency, periodStart, periodEnd, cap]);
}

export async function readAccount(
  session: Session,
  tenantId: string,
  currency: string,
  limit: BudgetLimit,
): Promise<Account | null> {
  const [row] = await session.run(read, [tenantId, currency, limit.periodStart, limit.cap]);
  return row ? accountOf(row) : null;
}

/** The refusal, where the account really lacks the money. */
export function budgetExceeded(account: Account, { amount }: Reservation): CygniError | null {
  const { limit, spent, reserved, currency } = account;
  if (limit === null || limit - spent - reserved >= amount) return null;
  const budget = {
    currency,
    limit,
    spent,
    reserved,
    estimate: amount,
    resetsAt: account.periodEnd,
  };
  return new CygniError('budget_exceeded', 'the budget does not cover this', { budget });
}

export function accountOperations(database: Database): Pick<Store, 'getAccount' | 'setBudget'> {
  return {
    async getAccount(tenantId, currency, limit, call) {
      const values = [tenantId, currency, limit.periodStart, limit.cap];
      const [row] = await database.run(read, values, call);
      if (row) return accountOf(row);
      return database.transaction(async (session) => {
        await ensureAccount(session, tenantId, currency, limit);
        return existing(await readAccount(session, tenantId, currency, limit));
      }, call);
    },

    setBudget(tenantId, currency, limit, { cap, expected }, call: Call) {
      return database.transaction(async (session) => {
        await ensureAccount(session, tenantId, currency, limit);
        if (expected) {
          const key = [tenantId, currency, limit.periodStart, limit.cap];
          const [row] = await session.run(readLocked, key);
          if (!row || !isSameAccount(accountOf(row), expected)) throw preconditionError();
        }
        await session.run(setBudget, [tenantId, currency, cap]);
        const values = [tenantId, currency, limit.periodStart, cap];
        const rows = (await session.run(capAccounts, values)).map(accountOf);
        const account = rows.find((each) => Date.parse(each.periodStart) === startOf(limit));
        const data = JSON.stringify({ currency, limit: cap });
        await session.run(recordEvent, [tenantId, tenantId, data]);
        return existing(account);
      }, call);
    },
  };
}

function startOf(limit: BudgetLimit): number {
  return Date.parse(limit.periodStart);
}

function accountOf(row: Row): Account {
  return parseRow(accountSchema, row);
}

function existing(account: Account | null | undefined): Account {
  if (!account) throw new CygniError('internal', 'an account is missing that was just opened');
  return account;
}
