import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, inject } from 'vitest';
import { until } from './calls.ts';

/** Of the run's PostgreSQL; null where there is none, and its tests are skipped. */
export const postgresUrl = inject('postgresUrl');

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  /** As an administrator would, past the store. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

interface Database {
  readonly url: string;
  readonly pool: pg.Pool;
  drop(): Promise<void>;
}

const idle: Database[] = [];
afterAll(dropIdleDatabases);

/**
 * A database of the test's own without a row in it, with the store's schema if an earlier test had it made: making both
 * takes ten times longer than emptying them does.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const database = idle.pop() ?? (await create());
  return given(database, async () => {
    await empty(database);
    idle.push(database);
  });
}

/** A database with nothing in it, whose schema the test may change: nobody else gets it. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const database = await create();
  return given(database, () => database.drop());
}

export async function dropIdleDatabases(): Promise<void> {
  for (let database = idle.pop(); database; database = idle.pop()) await database.drop();
}

function given({ url, pool }: Database, dispose: () => Promise<void>): TestDatabase {
  return {
    url,
    query: async (text, values = []) => (await pool.query(text, values)).rows,
    [Symbol.asyncDispose]: dispose,
  };
}

async function create(): Promise<Database> {
  if (postgresUrl === null) throw new Error('there is no PostgreSQL');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await administer(postgresUrl, `CREATE DATABASE ${name}`);
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({
    connectionString: url.href,
    max: 2,
    application_name: 'administrator',
  });
  pool.on('error', () => {});
  return {
    url: url.href,
    pool,
    async drop() {
      await pool.end();
      await administer(postgresUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** What a test has left at work would hold locks, or write into the next one's: it has a second to end by itself. */
async function empty({ pool }: Database): Promise<void> {
  const others = `FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name <> 'administrator'`;
  const isAlone = async () => (await pool.query(`SELECT ${others}`)).rows.length === 0;
  await until(isAlone, 1_000).catch(() =>
    pool.query(`SELECT pg_terminate_backend(pid, 5000) ${others}`),
  );
  const { rows } = await pool.query<{ names: string | null }>(
    `SELECT string_agg(schemaname || '.' || tablename, ', ') AS names FROM pg_tables
      WHERE schemaname = 'cygni' AND tablename <> 'migrations'`,
  );
  const names = rows[0]?.names;
  if (!names) return;
  await pool.query(`
    BEGIN;
    ALTER TABLE cygni.ledger DISABLE TRIGGER ledger_is_append_only;
    TRUNCATE ${names} RESTART IDENTITY;
    ALTER TABLE cygni.ledger ENABLE TRIGGER ledger_is_append_only;
    COMMIT`);
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
