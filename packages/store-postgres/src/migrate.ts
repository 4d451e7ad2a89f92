import type { Session } from './checkout.ts';
import { migrations } from './migrations/index.ts';
import { statement } from './statement.ts';

/** Of the advisory lock. Any constant will do, as long as it stays the same. */
const lockKey = 7_021_594_113;

/** Reads the catalogue: `to_regclass` may answer from a cache that is older than the lock. */
const tableExists = statement(
  'migrations-table',
  `SELECT EXISTS (SELECT FROM pg_catalog.pg_tables
                   WHERE schemaname = 'cygni' AND tablename = 'migrations') AS "exists"`,
);
const applied = statement('migrations-applied', 'SELECT version FROM cygni.migrations');
const record = statement(
  'migrations-record',
  'INSERT INTO cygni.migrations (version, name) VALUES ($1, $2)',
);

/**
 * Brings the schema up to what this version needs; one transaction a migration, one server at a time.
 * A schema that is newer already is left as it is: migrations only add what the version before can live with.
 */
export async function migrate(session: Session): Promise<void> {
  const done = await versions(session);
  for (const migration of migrations) {
    if (done.has(migration.version)) continue;
    await session.script(`
      BEGIN;
      SET LOCAL lock_timeout = '60s';
      SET LOCAL statement_timeout = '110s';
      SELECT pg_advisory_xact_lock(${lockKey});
      SET LOCAL lock_timeout = '5s';`);
    try {
      if (!(await versions(session)).has(migration.version)) {
        await session.script(`
          CREATE SCHEMA IF NOT EXISTS cygni;
          CREATE TABLE IF NOT EXISTS cygni.migrations (
            version     integer PRIMARY KEY,
            name        text NOT NULL,
            applied_at  timestamptz(3) NOT NULL DEFAULT now()
          );`);
        await session.script(migration.sql);
        await session.run(record, [migration.version, migration.name]);
      }
      await session.script('COMMIT');
    } catch (error) {
      await session.script('ROLLBACK').catch(() => {});
      throw error;
    }
  }
}

async function versions(session: Session): Promise<ReadonlySet<unknown>> {
  const [table] = await session.run(tableExists);
  if (table?.exists !== true) return new Set();
  return new Set((await session.run(applied)).map((row) => row.version));
}
