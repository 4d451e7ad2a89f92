import type { MessageKind } from '@cygni/core';

const eventType: Readonly<Record<MessageKind, string>> = {
  build: `'build.finished'`,
  deployment: `CASE state WHEN 'ROLLED_BACK' THEN 'deployment.rolled_back'
                      WHEN 'SUPERSEDED' THEN 'deployment.superseded'
                      ELSE 'deployment.finished' END`,
};

/** What was told of before: less than it was, once the cap was raised so far that the account no longer reaches it. */
const alertedFrom = `
  CASE WHEN account.cap IS NULL THEN 0
       WHEN account.cap > account.alerted_cap
       THEN least(account.alerted_percent, account.spent * 100 / account.cap)
       ELSE account.alerted_percent END`;

const alerted = (alertAt: string) => `,
           alerted_from = ${alertedFrom},
           alerted_percent = greatest(${alertedFrom}, (
             SELECT max(percent) FROM unnest(${alertAt}::integer[]) AS percent
              WHERE account.spent + total.charged > 0
                AND (account.spent + total.charged) * 100 >= account.cap * percent)),
           alerted_cap = account.cap`;

const alerts = (alertAt: string) => `,
  alert AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'budget.threshold', tenant_id,
           json_build_object(
             'percent', percent, 'limit', cap, 'spent', spent, 'reserved', reserved, 'currency', currency,
             'periodStart', to_char(period_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
      FROM moved CROSS JOIN unnest(${alertAt}::integer[]) AS percent
     WHERE percent > alerted_from AND percent <= alerted_percent
     ORDER BY percent
  )`;

/**
 * What belongs to the end of work, in the statement that ends it: CTEs that close the holds of the rows in
 * `ended (tenant_id, id, state, cost, reason)`, move the money, and write the ledger and the event.
 * @param alertAt the parameter that has the budget's thresholds, where money is spent
 */
export function ending(kind: MessageKind, { alertAt }: { readonly alertAt?: string } = {}): string {
  return `
  closed AS (
    UPDATE cygni.holds AS hold
       SET state = CASE WHEN ended.cost > 0 THEN 'settled' ELSE 'released' END,
           charged = ended.cost, closed_at = now()
      FROM ended
     WHERE hold.work_id = ended.id AND hold.state = 'open'
    RETURNING hold.work_id, hold.tenant_id, hold.currency, hold.period_start, hold.amount, hold.charged
  ),
  moved AS (
    UPDATE cygni.accounts AS account
       SET reserved = account.reserved - total.amount, spent = account.spent + total.charged${
         alertAt ? alerted(alertAt) : ''
       }
      FROM (SELECT tenant_id, currency, period_start, sum(amount)::bigint AS amount, sum(charged)::bigint AS charged
              FROM closed GROUP BY tenant_id, currency, period_start) AS total
     WHERE account.tenant_id = total.tenant_id AND account.currency = total.currency
       AND account.period_start = total.period_start
    RETURNING account.*
  ),
  entries AS (
    INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
    SELECT tenant_id, currency, period_start, work_id, 'settle', charged FROM closed WHERE charged > 0
    UNION ALL
    SELECT tenant_id, currency, period_start, work_id, 'release', amount - charged FROM closed
     WHERE charged < amount OR charged = 0
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, ${eventType[kind]}, id, json_build_object('state', state, 'cost', cost, 'reason', reason)
      FROM ended
  )${alertAt ? alerts(alertAt) : ''}`;
}
