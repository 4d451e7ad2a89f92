import type { TestDatabase } from '../support/test-database.ts';
import { dispatchOptions } from './actions.ts';

const works = `
  SELECT 'build' AS kind, id, tenant_id, state, estimate, cost, attempt, counted_attempts, maximum_attempts,
         lease_until, true AS must_have_hold FROM cygni.builds
  UNION ALL
  SELECT 'deployment', id, tenant_id, state, estimate, cost, attempt, counted_attempts, maximum_attempts,
         lease_until, kind = 'deploy' FROM cygni.deployments`;

const isOpen = `state IN ('QUEUED', 'RUNNING')`;

/** Each selects what breaks the rule that it is named after. */
const rules: Readonly<Record<string, string>> = {
  'reserved is the sum of the open holds, spent of what was settled': `
    SELECT account.tenant_id, account.reserved, account.spent
      FROM cygni.accounts AS account
      LEFT JOIN cygni.holds AS hold USING (tenant_id, currency, period_start)
     GROUP BY account.tenant_id, account.currency, account.period_start, account.reserved, account.spent
    HAVING account.reserved <> coalesce(sum(hold.amount) FILTER (WHERE hold.state = 'open'), 0)
        OR account.spent <> coalesce(sum(hold.charged), 0)`,
  'the ledger adds up to the same': `
    SELECT account.tenant_id, account.reserved, account.spent
      FROM cygni.accounts AS account
      LEFT JOIN cygni.ledger AS entry USING (tenant_id, currency, period_start)
     GROUP BY account.tenant_id, account.currency, account.period_start, account.reserved, account.spent
    HAVING account.reserved <> coalesce(sum(CASE entry.kind WHEN 'hold' THEN entry.amount ELSE -entry.amount END), 0)
        OR account.spent <> coalesce(sum(entry.amount) FILTER (WHERE entry.kind = 'settle'), 0)`,
  'what was held for work is settled or released when it has ended, once': `
    SELECT work.id, work.state, work.estimate, work.cost, entered.*
      FROM (${works}) AS work
      LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE kind = 'hold') AS holds,
               coalesce(sum(amount) FILTER (WHERE kind = 'hold'), 0) AS held,
               coalesce(sum(amount) FILTER (WHERE kind = 'settle'), 0) AS settled,
               coalesce(sum(amount) FILTER (WHERE kind = 'release'), 0) AS released,
               count(*) FILTER (WHERE amount = 0 AND kind <> 'hold') AS empty
          FROM cygni.ledger WHERE work_id = work.id) AS entered ON true
     WHERE entered.holds <> CASE WHEN must_have_hold THEN 1 ELSE 0 END
        OR entered.held <> work.estimate
        OR (entered.empty > 0 AND work.estimate > 0)
        OR CASE WHEN ${isOpen} THEN entered.settled + entered.released <> 0
                ELSE entered.settled + entered.released <> entered.held OR entered.settled <> work.cost END`,
  'a hold is open as long as its work': `
    SELECT work.id, work.state, hold.state AS hold
      FROM (${works}) AS work LEFT JOIN cygni.holds AS hold ON hold.work_id = work.id
     WHERE CASE WHEN must_have_hold THEN (hold.state = 'open') IS DISTINCT FROM (work.${isOpen})
                ELSE hold.state IS NOT NULL END`,
  'no account is beyond its ceiling': `
    SELECT tenant_id, spent, reserved, ceiling FROM cygni.accounts
     WHERE spent < 0 OR reserved < 0 OR spent + reserved > ceiling OR ceiling < cap`,
  'nothing was accepted beyond the cap': 'SELECT * FROM watch.overspent',
  'work ends once, and stays as it ended': `
    SELECT work.id, work.state, array_agg(before || ' to ' || after) AS changes
      FROM (${works}) AS work JOIN watch.changes ON work_id = work.id
     GROUP BY work.id, work.state
    HAVING count(*) FILTER (WHERE NOT before IN ('QUEUED', 'RUNNING')) > 0
        OR count(*) FILTER (WHERE NOT after IN ('QUEUED', 'RUNNING'))
           <> CASE WHEN work.${isOpen} THEN 0 ELSE 1 END`,
  'work has a lease while it runs, and no more attempts than it may have': `
    SELECT id, state, attempt, counted_attempts FROM (${works}) AS work
     WHERE (state = 'RUNNING') <> (lease_until IS NOT NULL)
        OR counted_attempts NOT BETWEEN 0 AND least(attempt, maximum_attempts)`,
  'every acceptance, attempt and end has one event': `
    SELECT work.id, work.state, work.attempt, recorded.*
      FROM (${works}) AS work
      LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE type LIKE '%.accepted') AS accepted,
               count(*) FILTER (WHERE type LIKE '%.started') AS started,
               count(*) FILTER (WHERE type LIKE '%.finished' OR type LIKE '%.rolled_back'
                                   OR type LIKE '%.superseded') AS ended
          FROM cygni.events WHERE tenant_id = work.tenant_id AND subject = work.id::text) AS recorded ON true
     WHERE accepted <> 1 OR started <> work.attempt OR ended <> CASE WHEN ${isOpen} THEN 0 ELSE 1 END`,
  'a service has one deployment at a time, and its own are in a row': `
    SELECT tenant_id, service FROM cygni.deployments
     GROUP BY tenant_id, service
    HAVING count(*) FILTER (WHERE state = 'RUNNING') > 1
        OR count(DISTINCT position) <> count(*)
        OR count(*) FILTER (WHERE state = 'QUEUED' AND attempt = 0) > 1`,
  'the revisions of a service are in a row, and the stable one was healthy': `
    SELECT service.name, service.last_revision, service.stable_revision
      FROM cygni.services AS service
      LEFT JOIN cygni.revisions AS revision
        ON revision.tenant_id = service.tenant_id AND revision.service = service.name
     GROUP BY service.tenant_id, service.name, service.last_revision, service.stable_revision
    HAVING count(*) <> last_revision OR max(number) <> last_revision
        OR (stable_revision IS NOT NULL
            AND count(*) FILTER (WHERE number = stable_revision AND healthy_at IS NOT NULL) <> 1)`,
  'no tenant has more builds dispatched and running than it may': `
    SELECT tenant_id, count(*) FROM cygni.builds
     WHERE state = 'RUNNING' OR (state = 'QUEUED' AND dispatched)
     GROUP BY tenant_id HAVING count(*) > ${dispatchOptions.maximumPerTenant}`,
  'a line of a log has one place': `
    SELECT build.id FROM cygni.builds AS build
      LEFT JOIN cygni.log_chunks AS chunk ON chunk.build_id = build.id
     GROUP BY build.id, build.log_sequence
    HAVING coalesce(max(last_sequence), 0) > log_sequence OR coalesce(sum(line_count), 0) > log_sequence`,
};

const checks = Object.entries(rules)
  .map(([rule, broken]) => `SELECT '${rule}', to_json(broken) FROM (${broken}) AS broken`)
  .join('\nUNION ALL\n');

/** Lets `brokenRules` ask with a plan that is made once. After `watch`. */
export async function prepareRules({ query }: TestDatabase): Promise<void> {
  await query(`
    CREATE FUNCTION watch.broken_rules() RETURNS TABLE (rule text, broken json) LANGUAGE plpgsql AS $body$
    #variable_conflict use_column
    BEGIN
      RETURN QUERY ${checks};
    END $body$`);
}

/** What is wrong in the database: nothing, or lines that each name a broken rule and what breaks it. */
export async function brokenRules({ query }: TestDatabase): Promise<readonly string[]> {
  const rows = await query('SELECT rule, broken FROM watch.broken_rules()');
  return rows.map(({ rule, broken }) => `${rule}: ${JSON.stringify(broken)}`);
}
