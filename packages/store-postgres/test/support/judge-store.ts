import type { Store } from '@cygni/core';
import { storeConformance } from '@cygni/core/conformance';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, postgresUrl, type TestDatabase } from './test-database.ts';

/** Judges what `wrap` makes of a store in PostgreSQL. */
export function judgeStore(wrap: (store: Store) => Store): void {
  describe.skipIf(postgresUrl === null)('PostgreSQL', () => {
    let database: TestDatabase;
    beforeAll(async () => {
      database = await createTestDatabase();
    });
    afterAll(() => database[Symbol.asyncDispose]());

    storeConformance(
      { describe, it, expect, beforeEach, afterEach },
      {
        async create() {
          await empty(database);
          const store = wrap(createPostgresStore({ url: database.url }));
          return {
            store,
            async elapse(seconds) {
              for (const [table, columns] of Object.entries(times)) {
                const older = columns.map((name) => `${name} = ${name} - $1 * interval '1 second'`);
                await database.query(`UPDATE cygni.${table} SET ${older.join(', ')}`, [seconds]);
              }
            },
            async dispose() {
              await store.close();
              await mustBalance(database);
            },
          };
        },
      },
    );
  });
}

/** What grows older. */
const times = {
  builds: ['lease_until', 'enqueued_at', 'created_at', 'finished_at', 'run_began_at'],
  deployments: ['lease_until', 'enqueued_at', 'created_at', 'finished_at'],
  revisions: ['created_at', 'healthy_at', 'replaced_at'],
  sources: ['created_at'],
  source_checks: ['created_at'],
  events: ['created_at'],
  log_archives: ['lease_until'],
  idempotency: ['expires_at'],
  deliveries: ['due_at', 'lease_until', 'created_at', 'finished_at'],
  notifiers: ['seen_at'],
};

async function empty({ query }: TestDatabase): Promise<void> {
  const tables = await query(
    `SELECT string_agg('cygni.' || tablename, ', ') AS names FROM pg_tables
      WHERE schemaname = 'cygni' AND tablename <> 'migrations'`,
  );
  const names = tables[0]?.names;
  if (typeof names !== 'string') return;
  await query('ALTER TABLE cygni.ledger DISABLE TRIGGER ledger_is_append_only');
  await query(`TRUNCATE ${names} RESTART IDENTITY`);
  await query('ALTER TABLE cygni.ledger ENABLE TRIGGER ledger_is_append_only');
}

/** After every test: the accounts are what the ledger and, where the work is still there, its holds add up to. */
async function mustBalance({ query }: TestDatabase): Promise<void> {
  const exists = await query(`SELECT to_regclass('cygni.ledger') IS NOT NULL AS "exists"`);
  if (!exists[0]?.exists) return;
  const wrong = await query(`
    SELECT account.*, held.reserved AS held, entered.reserved AS entered, entered.spent AS settled
      FROM cygni.accounts AS account
      LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE state = 'open'), 0) AS reserved,
               coalesce(sum(charged), 0) + (
                 SELECT coalesce(sum(amount), 0) FROM cygni.ledger AS entry
                  WHERE (entry.tenant_id, entry.currency, entry.period_start)
                      = (account.tenant_id, account.currency, account.period_start)
                    AND entry.kind = 'settle'
                    AND NOT EXISTS (SELECT FROM cygni.holds WHERE work_id = entry.work_id)) AS spent
          FROM cygni.holds AS hold
         WHERE (hold.tenant_id, hold.currency, hold.period_start)
             = (account.tenant_id, account.currency, account.period_start)) AS held ON true
      LEFT JOIN LATERAL (
        SELECT coalesce(sum(CASE kind WHEN 'hold' THEN amount ELSE -amount END), 0) AS reserved,
               coalesce(sum(amount) FILTER (WHERE kind = 'settle'), 0) AS spent
          FROM cygni.ledger AS entry
         WHERE (entry.tenant_id, entry.currency, entry.period_start)
             = (account.tenant_id, account.currency, account.period_start)) AS entered ON true
     WHERE (account.reserved, account.spent) <> (held.reserved, held.spent)
        OR (account.reserved, account.spent) <> (entered.reserved, entered.spent)`);
  expect(wrong).toEqual([]);
  const orphans = await query(`
    SELECT hold.work_id FROM cygni.holds AS hold
      LEFT JOIN cygni.builds AS build ON build.id = hold.work_id
      LEFT JOIN cygni.deployments AS deployment ON deployment.id = hold.work_id
     WHERE (hold.state = 'open') <> (coalesce(build.state, deployment.state) IN ('QUEUED', 'RUNNING'))`);
  expect(orphans).toEqual([]);
}
