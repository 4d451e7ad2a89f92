import { randomUUID } from 'node:crypto';
import type { Store } from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acceptBuild, call, reservation } from './support/calls.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

describe.skipIf(postgresUrl === null)('the database itself', () => {
  let database: TestDatabase;
  let store: Store;
  let buildId: string;
  beforeAll(async () => {
    database = await createTestDatabase();
    store = createPostgresStore({ url: database.url });
    buildId = await acceptBuild(store);
    await store.setBudget(
      'acme',
      'USD',
      { cap: null, periodStart: '2026-01-01T00:00:00.000Z', periodEnd: null },
      { cap: 150 },
      call,
    );
  });
  afterAll(async () => {
    await store.close();
    await database[Symbol.asyncDispose]();
  });

  async function refuses(text: string, values: unknown[] = []): Promise<string> {
    return database.query(text, values).then(
      () => 'nothing',
      (error: { constraint?: string; message: string }) => error.constraint ?? error.message,
    );
  }

  it('lets no account be overspent', async () => {
    for (const change of ['reserved = 151', 'spent = 51', 'reserved = -1', 'ceiling = 99']) {
      expect(await refuses(`UPDATE cygni.accounts SET ${change}`)).toMatch(/^accounts_/);
    }
  });

  it('lets nobody change the ledger', async () => {
    for (const change of [
      'UPDATE cygni.ledger SET amount = 0',
      'DELETE FROM cygni.ledger',
      'TRUNCATE cygni.ledger',
    ]) {
      expect(await refuses(change)).toBe('the ledger is append-only');
    }
  });

  it('lets money be held, settled and released once', async () => {
    const insert = `INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
      SELECT tenant_id, currency, period_start, work_id, 'hold', 1 FROM cygni.holds`;
    expect(await refuses(insert)).toBe('ledger_work_id_kind_key');
  });

  it('lets no build go while its money is held, and none refer to another tenant', async () => {
    expect(await refuses('DELETE FROM cygni.builds')).toMatch(/^holds_/);
    expect(await refuses(`UPDATE cygni.builds SET tenant_id = 'other'`)).toMatch(/_fkey$/);
    const chunk = `INSERT INTO cygni.log_chunks
      (tenant_id, build_id, attempt, position, last_sequence, line_count, lines)
      VALUES ('other', $1, 1, 0, 1, 1, '[]')`;
    expect(await refuses(chunk, [buildId])).toMatch(/_fkey$/);
  });

  it('lets no build end without its time, or run without a lease', async () => {
    expect(await refuses(`UPDATE cygni.builds SET state = 'SUCCEEDED'`)).toMatch(/^builds_check/);
    expect(await refuses(`UPDATE cygni.builds SET state = 'RUNNING'`)).toMatch(/^builds_check/);
    expect(await refuses('UPDATE cygni.builds SET counted_attempts = 1')).toMatch(/^builds_check/);
  });

  it('says which input it cannot store, without repeating it', async () => {
    const error: unknown = await acceptBuild(store, { dockerfile: 'secret\0' }).catch((e) => e);
    expect(error).toMatchObject({ code: 'invalid_input', retryable: false });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret');
    const unknownBuild = {
      id: randomUUID(),
      tenantId: 'acme',
      service: 'site',
      rollout: { deadlineSeconds: 1, bakeSeconds: 1 },
      message: null,
      target: {
        repository: 'acme/site',
        digest: 'sha256:0',
        buildId: randomUUID(),
        environment: { TOKEN: 'secret' },
        arguments: null,
        healthCheck: {
          path: '/',
          intervalSeconds: 1,
          timeoutSeconds: 1,
          healthyThreshold: 1,
          unhealthyThreshold: 1,
          startPeriodSeconds: 1,
        },
      },
    };
    const refused: unknown = await store
      .acceptDeployment(unknownBuild, reservation, null, call)
      .catch((e) => e);
    expect(refused).toMatchObject({ code: 'conflict' });
    const { cause } = refused as Error;
    expect(JSON.stringify(cause, Object.getOwnPropertyNames(cause))).not.toContain('secret');
  });
});
