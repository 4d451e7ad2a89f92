import pg from 'pg';
import { until } from './calls.ts';
import type { TestDatabase } from './test-database.ts';

/** Another server in the middle of a transaction, which forces what comes first and what waits. */
export interface Rival extends AsyncDisposable {
  query(text: string, values?: unknown[]): Promise<void>;
  commit(): Promise<void>;
}

export async function createRival({ url }: TestDatabase): Promise<Rival> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  await client.query('BEGIN');
  return {
    async query(text, values) {
      await client.query(text, values);
    },
    async commit() {
      await client.query('COMMIT');
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/** Until the call has come to the lock that somebody else holds; or to its end, where it needs no such lock. */
export async function untilItWaits(
  { query }: TestDatabase,
  call: Promise<unknown>,
): Promise<'waits' | 'ended'> {
  let ended = false;
  const onEnd = () => {
    ended = true;
  };
  call.then(onEnd, onEnd);
  let waits = false;
  await until(async () => {
    const waiting = await query(
      `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'cygni' AND wait_event_type = 'Lock'`,
    );
    waits = waiting.length > 0;
    return waits || ended;
  });
  return ended ? 'ended' : 'waits';
}
