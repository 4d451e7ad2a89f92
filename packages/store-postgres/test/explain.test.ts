import { createPostgresStore } from '@cygni/store-postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { allStatements, type Statement } from '../src/statement.ts';
import { call } from './support/calls.ts';
import { manyRows } from './support/many-rows.ts';
import { createEmptyDatabase, postgresUrl, type TestDatabase } from './support/test-database.ts';

/** They have no plan. */
const withoutPlan: ReadonlySet<string> = new Set(['begin', 'commit', 'rollback']);

/** A table is large from so many rows on, and so is what is sorted or read in one go. */
const largeTable = 2_000;
const largeSet = 5_000;

interface Plan {
  readonly 'Node Type': string;
  readonly 'Plan Rows': number;
  readonly 'Relation Name'?: string | undefined;
  readonly Schema?: string | undefined;
  readonly Operation?: string | undefined;
  readonly 'Index Name'?: string | undefined;
  readonly 'Index Cond'?: string | undefined;
  readonly Plans?: readonly Plan[] | undefined;
}

const planSchema: z.ZodType<Plan> = z.object({
  'Node Type': z.string(),
  'Plan Rows': z.number(),
  'Relation Name': z.string().optional(),
  Operation: z.string().optional(),
  'Index Name': z.string().optional(),
  'Index Cond': z.string().optional(),
  get Plans() {
    return z.array(planSchema).optional();
  },
});
const explainedSchema = z.tuple([z.object({ Plan: planSchema })]);

describe.skipIf(postgresUrl === null)('the plans of all statements, on large tables', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let large: ReadonlySet<string>;
  beforeAll(async () => {
    database = await createEmptyDatabase();
    const store = createPostgresStore({ url: database.url });
    await store.open(call);
    await store.close();
    client = new pg.Client({ connectionString: database.url });
    client.on('error', () => {});
    await client.connect();
    await client.query(manyRows);
    // As the server plans what is prepared, once it was asked a few times.
    await client.query('SET plan_cache_mode = force_generic_plan');
    const { rows } = await client.query(
      `SELECT relname AS name FROM pg_class
        WHERE relnamespace = 'cygni'::regnamespace AND relkind = 'r' AND reltuples >= $1`,
      [largeTable],
    );
    large = new Set(rows.map(({ name }) => String(name)));
  });
  afterAll(async () => {
    await client?.end();
    await database?.[Symbol.asyncDispose]();
  });

  async function planOf({ name, text }: Statement): Promise<Plan> {
    await client.query(`PREPARE "${name}" AS ${text}`);
    const { rows } = await client.query(
      'SELECT cardinality(parameter_types) AS count FROM pg_prepared_statements WHERE name = $1',
      [name],
    );
    const values = Array.from({ length: rows[0]?.count }, () => 'NULL').join(', ');
    const execute = `EXECUTE "${name}"${values && `(${values})`}`;
    const explained = await client.query(`EXPLAIN (FORMAT JSON) ${execute}`);
    await client.query(`DEALLOCATE "${name}"`);
    return explainedSchema.parse(explained.rows[0]?.['QUERY PLAN'])[0].Plan;
  }

  const isLarge = (plan: Plan) => large.has(plan['Relation Name'] ?? '');

  function faultOf(plan: Plan, limited: boolean): string | null {
    const { 'Node Type': type, 'Plan Rows': rows } = plan;
    if (/Sort$/.test(type) && rows > largeSet) return `sorts ${rows} rows`;
    if (!isLarge(plan)) return null;
    if (/Seq Scan$/.test(type)) return `reads all of ${plan['Relation Name']}`;
    if (/Scan$/.test(type) && !limited && rows > largeSet) {
      return `reads ${rows} rows of ${plan['Relation Name']}`;
    }
    return null;
  }

  function faultsOf(plan: Plan, limited = false): readonly string[] {
    const fault = faultOf(plan, limited);
    const below =
      plan['Node Type'] === 'Limit' ||
      (limited && !/^Hash$|Sort|Aggregate/.test(plan['Node Type']));
    const faults = (plan.Plans ?? []).flatMap((each) => faultsOf(each, below));
    return fault === null ? faults : [fault, ...faults];
  }

  const planned = [...allStatements()].filter(([name]) => !withoutPlan.has(name));

  it('are known', () => {
    expect(planned.length).toBeGreaterThan(60);
    expect([...large].sort()).toEqual([
      'accounts',
      'budgets',
      'builds',
      'deliveries',
      'deployments',
      'dispatch_turns',
      'events',
      'garbage',
      'holds',
      'idempotency',
      'ledger',
      'log_archives',
      'log_chunks',
      'outbox',
      'revisions',
      'services',
      'source_checks',
      'sources',
      'webhook_endpoints',
    ]);
  });

  it.each(planned)('%s reads what it needs through an index', async (_name, statement) => {
    const plan = await planOf(statement);
    expect(faultsOf(plan), JSON.stringify(plan, null, 1)).toEqual([]);
  });

  it('are not all: what refers to rows that are removed is found through an index too', async () => {
    const removed = new Set<string>();
    for (const [, statement] of planned) {
      for (const table of removedFrom(await planOf(statement))) removed.add(table);
    }
    expect(removed).toContain('builds');
    const unindexed = await database.query(
      `SELECT conname AS name FROM pg_constraint AS reference
        WHERE contype = 'f' AND connamespace = 'cygni'::regnamespace
          AND confrelid = ANY (SELECT oid FROM pg_class
                                WHERE relnamespace = 'cygni'::regnamespace AND relname = ANY ($1))
          AND NOT EXISTS (
            SELECT FROM pg_index
             WHERE indrelid = conrelid
               AND (indkey::int2[])[0:cardinality(conkey) - 1] <@ conkey
               AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)`,
      [[...removed]],
    );
    expect(unindexed).toEqual([]);
  });
});

function removedFrom(plan: Plan): readonly string[] {
  const below = (plan.Plans ?? []).flatMap(removedFrom);
  const table = plan.Operation === 'Delete' ? plan['Relation Name'] : undefined;
  return table === undefined ? below : [table, ...below];
}
