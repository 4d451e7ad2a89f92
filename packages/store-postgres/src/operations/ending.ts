import type { MessageKind } from '@cygni/core';

const eventType: Readonly<Record<MessageKind, string>> = {
  build: `'build.finished'`,
  deployment: `CASE state WHEN 'ROLLED_BACK' THEN 'deployment.rolled_back'
                      WHEN 'SUPERSEDED' THEN 'deployment.superseded'
                      ELSE 'deployment.finished' END`,
};

/**
 * What belongs to the end of work, in the statement that ends it: CTEs that close the holds of the rows in
 * `ended (tenant_id, id, state, cost, reason)`, move the money, and write the ledger and the event.
 */
export function ending(kind: MessageKind): string {
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
       SET reserved = account.reserved - total.amount, spent = account.spent + total.charged
      FROM (SELECT tenant_id, currency, period_start, sum(amount)::bigint AS amount, sum(charged)::bigint AS charged
              FROM closed GROUP BY tenant_id, currency, period_start) AS total
     WHERE account.tenant_id = total.tenant_id AND account.currency = total.currency
       AND account.period_start = total.period_start
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
  )`;
}
