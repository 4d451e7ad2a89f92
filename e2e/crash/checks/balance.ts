import { z } from 'zod';
import type { CrashableDatabase } from '../database.ts';
import type { Finding } from './finding.ts';

const count = z.coerce.number().int();
const accountSchema = z.object({
  tenant_id: z.string(),
  cap: count.nullable(),
  spent: count,
  reserved: count,
  open: count,
  held: count,
  settled: count,
  released: count,
});

/** One statement, and so one moment: what must hold then holds at any time. */
const accounts = `
  SELECT account.tenant_id, account.cap, account.spent, account.reserved,
         coalesce((SELECT sum(amount) FROM cygni.holds AS hold
                    WHERE hold.state = 'open' AND hold.tenant_id = account.tenant_id
                      AND hold.currency = account.currency AND hold.period_start = account.period_start), 0) AS open,
         coalesce(ledger.held, 0) AS held, coalesce(ledger.settled, 0) AS settled,
         coalesce(ledger.released, 0) AS released
    FROM cygni.accounts AS account
    LEFT JOIN (SELECT tenant_id, currency, period_start,
                      sum(amount) FILTER (WHERE kind = 'hold') AS held,
                      sum(amount) FILTER (WHERE kind = 'settle') AS settled,
                      sum(amount) FILTER (WHERE kind = 'release') AS released
                 FROM cygni.ledger GROUP BY tenant_id, currency, period_start) AS ledger
      USING (tenant_id, currency, period_start)`;

/** Holds whose build has ended, and builds that go on without one. */
const strayHolds = `
  SELECT build.id, build.state, hold.state AS hold
    FROM cygni.builds AS build LEFT JOIN cygni.holds AS hold ON hold.work_id = build.id
   WHERE (build.state IN ('QUEUED', 'RUNNING')) IS DISTINCT FROM (hold.state = 'open')`;
const strayHoldSchema = z.object({
  id: z.string(),
  state: z.string(),
  hold: z.string().nullable(),
});

/** What must hold of the money at any time. */
export async function checkBalance(database: CrashableDatabase): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const row of await database.query(accounts)) {
    const account = accountSchema.parse(row);
    const { tenant_id, cap, spent, reserved, open, held, settled, released } = account;
    const unbalanced = (what: string) =>
      findings.push({ kind: 'unbalanced', what: `${tenant_id}: ${what}` });
    if (reserved !== open) unbalanced(`${reserved} reserved, but the open holds are ${open}`);
    if (spent !== settled) unbalanced(`${spent} spent, but the settlements are ${settled}`);
    const left = held - settled - released;
    if (reserved !== left) unbalanced(`${reserved} reserved, but the ledger leaves ${left}`);
    if (cap !== null && spent + reserved > cap) unbalanced(`${spent} + ${reserved} of ${cap}`);
  }
  for (const row of await database.query(strayHolds)) {
    const { id, state, hold } = strayHoldSchema.parse(row);
    const what = `a build is ${state} and its hold ${hold ?? 'missing'}`;
    findings.push({ kind: 'unbalanced', what, buildId: id });
  }
  return findings;
}

const unsettled = `
  SELECT build.id, build.state, build.cost, hold.amount, hold.charged, ledger.held, ledger.settled, ledger.released
    FROM cygni.builds AS build
    LEFT JOIN cygni.holds AS hold ON hold.work_id = build.id
    LEFT JOIN (SELECT work_id,
                      coalesce(sum(amount) FILTER (WHERE kind = 'hold'), 0) AS held,
                      coalesce(sum(amount) FILTER (WHERE kind = 'settle'), 0) AS settled,
                      coalesce(sum(amount) FILTER (WHERE kind = 'release'), 0) AS released
                 FROM cygni.ledger GROUP BY work_id) AS ledger ON ledger.work_id = build.id
   WHERE (build.cost, build.cost, build.estimate, build.estimate)
         IS DISTINCT FROM (hold.charged, ledger.settled, ledger.held, ledger.settled + ledger.released)`;

/** What must hold once every build has ended. */
export async function checkSettled(database: CrashableDatabase): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const row of await database.query(accounts)) {
    const { tenant_id, reserved } = accountSchema.parse(row);
    if (reserved !== 0) {
      findings.push({ kind: 'unbalanced', what: `${tenant_id}: ${reserved} still reserved` });
    }
  }
  for (const row of await database.query(unsettled)) {
    const { id } = z.object({ id: z.string() }).parse(row);
    const what = `its cost, its hold and its ledger differ: ${JSON.stringify(row)}`;
    findings.push({ kind: 'unbalanced', what, buildId: id });
  }
  return findings;
}
