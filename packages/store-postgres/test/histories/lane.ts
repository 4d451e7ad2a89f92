import type { Store } from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import { call } from '../support/calls.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/test-database.ts';
import { brokenRules, prepareRules } from './invariants.ts';
import { watch } from './watch.ts';

/** Emptying takes longer than a history does, and beside a few others it is still found fast. */
const historiesAtMost = 25;

/** A database in which histories happen one after another. */
export interface Lane extends AsyncDisposable {
  readonly store: Store;
  readonly database: TestDatabase;
  /** Makes it seem to the store that this much time has passed. */
  elapse(seconds: number): Promise<void>;
  brokenRules(): Promise<readonly string[]>;
  /** Has a history happen among what earlier ones left behind, all of which has ended. */
  host(history: () => Promise<void>): Promise<void>;
}

export async function createLane(): Promise<Lane> {
  const database = await createEmptyDatabase();
  const { query } = database;
  const store = createPostgresStore({ url: database.url, poolSize: 8 });
  await store.open(call);
  await watch(database);
  await prepareRules(database);
  await query('ALTER TABLE cygni.ledger DISABLE TRIGGER ledger_is_append_only');
  const [tables] = await query(
    `SELECT string_agg(schemaname || '.' || tablename, ', ') AS names FROM pg_tables
      WHERE schemaname IN ('cygni', 'watch') AND tablename <> 'migrations'`,
  );
  let hosted = 0;
  return {
    store,
    database,
    async elapse(seconds) {
      await query(`
        UPDATE cygni.builds SET lease_until = lease_until - interval '${seconds} seconds',
                                enqueued_at = enqueued_at - interval '${seconds} seconds';
        UPDATE cygni.deployments SET lease_until = lease_until - interval '${seconds} seconds',
                                     enqueued_at = enqueued_at - interval '${seconds} seconds';
        UPDATE cygni.idempotency SET expires_at = expires_at - interval '${seconds} seconds'`);
    },
    brokenRules: () => brokenRules(database),
    async host(history) {
      if (hosted === historiesAtMost) await query(`TRUNCATE ${tables?.names} RESTART IDENTITY`);
      // One that fails leaves behind what may make the next one fail too.
      const before = hosted === historiesAtMost ? 0 : hosted;
      hosted = historiesAtMost;
      await history();
      hosted = before + 1;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await database[Symbol.asyncDispose]();
    },
  };
}
