import { randomUUID } from 'node:crypto';
import type { NewBuild, Reservation } from '@cygni/core';
import type pg from 'pg';

export const tenants: readonly string[] = Array.from({ length: 50 }, (_, n) => `tenant-${n}`);
/** One of them has nearly all the builds of the history. */
export const hotTenant = 'tenant-0';

export const reservation: Reservation = {
  amount: 100,
  currency: 'USD',
  limit: { cap: null, periodStart: '2026-01-01T00:00:00.000Z', periodEnd: null },
};

const sourcesOfTenant = 200;

export interface Builds {
  make(tenantId: string): NewBuild;
}

/** Sources first: a build refers to one, and few builds share one. */
export async function prepareBuilds(pool: pg.Pool): Promise<Builds> {
  const { rows } = await pool.query<{ tenant: string; ids: string[] }>(
    `WITH source AS (
       INSERT INTO cygni.sources (tenant_id, id, key, size_bytes, sha256)
       SELECT tenant, gen_random_uuid(), 'key', 1, 'sha256'
         FROM unnest($1::text[]) AS tenant, generate_series(1, $2::integer)
       RETURNING tenant_id, id
     )
     SELECT tenant_id AS tenant, array_agg(id) AS ids FROM source GROUP BY tenant_id`,
    [tenants, sourcesOfTenant],
  );
  const sources = new Map(rows.map(({ tenant, ids }) => [tenant, ids]));
  let made = 0;
  return {
    make(tenantId) {
      made += 1;
      const sourceId = sources.get(tenantId)?.[made % sourcesOfTenant];
      if (sourceId === undefined) throw new Error(`no sources of ${tenantId}`);
      return {
        id: randomUUID(),
        tenantId,
        sourceId,
        repository: 'site',
        tags: ['latest'],
        dockerfile: 'Dockerfile',
        target: null,
        buildArguments: { VERSION: '1.2.3' },
        machine: 'small',
        timeoutSeconds: 600,
        maximumAttempts: 3,
      };
    },
  };
}

/** Builds of the hot tenant that ended long ago, a second apart. Written past the store. */
export async function addHistory(pool: pg.Pool, count: number): Promise<void> {
  await pool.query(
    `INSERT INTO cygni.builds (
       tenant_id, id, state, source_id, repository, tags, dockerfile, build_arguments, machine, timeout_seconds,
       maximum_attempts, attempt, counted_attempts, currency, estimate, cost, created_at, started_at, finished_at)
     SELECT $1, gen_random_uuid(), 'SUCCEEDED', source.id, 'site', '{latest}', 'Dockerfile', '{}', 'small', 600,
            3, 1, 1, 'USD', 100, 50, moment, moment, moment
       FROM (SELECT id FROM cygni.sources WHERE tenant_id = $1 LIMIT 1) AS source,
            generate_series(1, $2::integer) AS n,
            LATERAL (SELECT now() - n * interval '1 second' AS moment) AS time`,
    [hotTenant, count],
  );
}
