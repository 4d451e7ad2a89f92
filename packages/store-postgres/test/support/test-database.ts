import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** Of the run's PostgreSQL; null where there is none, and its tests are skipped. */
export const postgresUrl = inject('postgresUrl');

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  /** As an administrator would, past the store. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

/** An empty database of the test's own. */
export async function createTestDatabase(): Promise<TestDatabase> {
  if (postgresUrl === null) throw new Error('there is no PostgreSQL');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await administer(postgresUrl, `CREATE DATABASE ${name}`);
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  pool.on('error', () => {});
  return {
    url: url.href,
    query: async (text, values = []) => (await pool.query(text, values)).rows,
    async [Symbol.asyncDispose]() {
      await pool.end();
      await administer(postgresUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
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
