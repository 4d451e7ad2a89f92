import { randomUUID } from 'node:crypto';
import { healthCheckSchema, rolloutSchema, type Store } from '@cygni/core';
import { createPostgresStore } from '@cygni/store-postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acceptBuild, call, reservation } from './support/calls.ts';
import { createTestDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

const copy = (table: string, row: string, changes: object) =>
  `INSERT INTO cygni.${table} SELECT (jsonb_populate_record(original, '${JSON.stringify(changes)}')).*
     FROM cygni.${table} AS original WHERE ${row}`;

/** Whatever code does, and whoever writes it. Rows: a queued and a running build, and the same of deployments. */
const refused: readonly (readonly [why: string, statement: string])[] = [
  ...['builds', 'deployments'].flatMap(
    (table) =>
      [
        [
          'work that is tried too often',
          `UPDATE cygni.${table} SET counted_attempts = maximum_attempts + 1, attempt = 9`,
        ],
        [
          'work that is tried more often than it was claimed',
          `UPDATE cygni.${table} SET counted_attempts = attempt + 1`,
        ],
        [
          'work that costs more than was held',
          `UPDATE cygni.${table} SET cost = estimate + 1, state = 'FAILED', finished_at = now(), lease_until = NULL`,
        ],
        [
          'work that runs without a lease',
          `UPDATE cygni.${table} SET lease_until = NULL WHERE state = 'RUNNING'`,
        ],
        [
          'work with a lease that does not run',
          `UPDATE cygni.${table} SET lease_until = now() WHERE state = 'QUEUED'`,
        ],
        [
          'an end without its time',
          `UPDATE cygni.${table} SET state = 'FAILED', cost = 0, lease_until = NULL`,
        ],
        [
          'an end without its cost',
          `UPDATE cygni.${table} SET state = 'FAILED', finished_at = now(), lease_until = NULL`,
        ],
        ['work that goes while its money is held', `DELETE FROM cygni.${table}`],
      ] as const,
  ),
  ["a build of another tenant's source", `UPDATE cygni.builds SET tenant_id = 'other'`],
  [
    'a build of a source that is not there',
    `UPDATE cygni.builds SET source_id = gen_random_uuid()`,
  ],
  [
    "a log of another tenant's build",
    copy('log_chunks', 'true', { tenant_id: 'other', position: 9, last_sequence: 9 }),
  ],
  ['a position of a log twice', copy('log_chunks', 'true', { last_sequence: 9 })],
  ['a line of a log twice', copy('log_chunks', 'true', { position: 9 })],
  [
    'two running deployments of a service',
    `UPDATE cygni.deployments
        SET position = CASE service WHEN 'site' THEN 1 ELSE 2 END, service = 'site', revision = 1,
            state = 'RUNNING', attempt = 1, lease_until = now()`,
  ],
  [
    'two deployments in one place',
    copy('deployments', `service = 'site'`, {
      id: randomUUID(),
      state: 'QUEUED',
      lease_until: null,
    }),
  ],
  [
    'a deployment that is superseded by nothing',
    `UPDATE cygni.deployments SET state = 'SUPERSEDED', cost = 0, finished_at = now(), lease_until = NULL`,
  ],
  [
    'a deployment that is superseded and goes on',
    `UPDATE cygni.deployments SET superseded_by = id`,
  ],
  ['a cap without a ceiling', 'UPDATE cygni.accounts SET ceiling = NULL'],
  ['a ceiling below the cap', 'UPDATE cygni.accounts SET ceiling = cap - 1'],
  ['an account that is overspent', 'UPDATE cygni.accounts SET spent = ceiling - reserved + 1'],
  ['an account that is over-reserved', 'UPDATE cygni.accounts SET reserved = ceiling - spent + 1'],
  ['less than nothing spent', 'UPDATE cygni.accounts SET spent = -1'],
  ['less than nothing reserved', 'UPDATE cygni.accounts SET reserved = -1'],
  [
    'more than JavaScript counts',
    'UPDATE cygni.accounts SET cap = NULL, ceiling = NULL, spent = 9007199254740991, reserved = 1',
  ],
  [
    'two holds of one work',
    copy('holds', `kind = 'build'`, {})
      .replace(
        'INSERT INTO cygni.holds SELECT',
        'INSERT INTO cygni.holds (work_id, kind, tenant_id, currency, period_start, amount) SELECT',
      )
      .replace('.*', '.work_id, kind, tenant_id, currency, period_start, amount'),
  ],
  [
    'a hold that is charged more than it was',
    `UPDATE cygni.holds SET state = 'settled', charged = amount + 1, closed_at = now()`,
  ],
  [
    'a hold that is settled by nothing',
    `UPDATE cygni.holds SET state = 'settled', closed_at = now()`,
  ],
  [
    'a hold that is released and charged',
    `UPDATE cygni.holds SET state = 'released', charged = 1, closed_at = now()`,
  ],
  ['a hold that is closed at no time', `UPDATE cygni.holds SET state = 'released'`],
  ['an open hold that has ended', 'UPDATE cygni.holds SET closed_at = now()'],
  [
    'money that is held twice',
    `INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
     SELECT tenant_id, currency, period_start, work_id, 'hold', 1 FROM cygni.holds`,
  ],
  ['another ledger', 'UPDATE cygni.ledger SET amount = amount'],
  ['a ledger with less in it', 'DELETE FROM cygni.ledger'],
  ['an empty ledger', 'TRUNCATE cygni.ledger'],
];

describe.skipIf(postgresUrl === null)('the database refuses', () => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await createTestDatabase();
    store = createPostgresStore({ url: database.url });
    const ids = [await acceptBuild(store), await acceptBuild(store)] as const;
    await store.dispatchBuilds({ maximumPerTenant: 9, maximumUnclaimed: 9, limit: 9 }, call);
    const claim = await store.claimBuild(ids[0], 1_000, call);
    const fence = { id: ids[0], attempt: claim?.build.attempt ?? 0 };
    await store.appendLog({ ...fence, position: 0, lines: [{ time: 't', text: 'line' }] }, call);
    for (const service of ['site', 'another']) {
      const id = randomUUID();
      const target = {
        repository: 'site',
        digest: 'sha256:0',
        buildId: null,
        environment: {},
        arguments: null,
        healthCheck: healthCheckSchema.parse({}),
      };
      const rollout = rolloutSchema.parse({});
      const deployment = { id, tenantId: 'acme', service, rollout, message: null, target };
      await store.acceptDeployment(deployment, reservation, null, call);
      if (service === 'site') await store.claimDeployment(id, 1_000, call);
    }
    await store.setBudget('acme', 'USD', reservation.limit, { cap: 1_000 }, call);
  });
  afterAll(async () => {
    await store.close();
    await database[Symbol.asyncDispose]();
  });

  it.each(refused)('%s: %s', async (_, statement) => {
    const error = await database.query(statement).catch((reason: unknown) => reason);
    // An integrity constraint violation, by a constraint or by a trigger.
    expect(error).toMatchObject({ code: expect.stringMatching(/^23/) });
  });
});
