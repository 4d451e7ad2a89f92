import {
  type Call,
  CygniError,
  idSchema,
  type Source,
  type Store,
  sourceSchema,
} from '@cygni/core';
import type { Database } from '../database.ts';
import { parseRow } from '../rows.ts';
import { statement } from '../statement.ts';
import { takeKey } from './idempotency.ts';

const columns =
  'id, tenant_id AS "tenantId", key, size_bytes AS "sizeBytes", sha256, git, created_at AS "createdAt"';

const add = statement(
  'source-add',
  `WITH source AS (
    INSERT INTO cygni.sources (tenant_id, id, key, size_bytes, sha256, git)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING
    RETURNING *
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'source.added', id, json_strip_nulls(json_build_object('sizeBytes', size_bytes, 'sha256', sha256, 'commit', git ->> 'commit'))
      FROM source
  )
  SELECT ${columns} FROM source`,
);

const read = statement(
  'source-read',
  `SELECT ${columns} FROM cygni.sources WHERE tenant_id = $1 AND id = $2`,
);

export async function getSource(
  database: Database,
  tenantId: string,
  id: string,
  call: Call,
): Promise<Source | null> {
  if (!idSchema.safeParse(id).success) return null;
  const [row] = await database.run(read, [tenantId, id], call);
  return row ? parseRow(sourceSchema, row) : null;
}

export function sourceOperations(database: Database): Pick<Store, 'addSource' | 'getSource'> {
  return {
    async addSource(source, idempotency, call) {
      const { tenantId, id, key, sizeBytes, sha256, git } = source;
      const values = [tenantId, id, key, sizeBytes, sha256, git ? JSON.stringify(git) : null];
      const { made, row } = idempotency
        ? await database.transaction(async ({ run }) => {
            const replayOf = await takeKey(run, tenantId, idempotency, id);
            return { made: replayOf, row: replayOf ? undefined : (await run(add, values))[0] };
          }, call)
        : { made: null, row: (await database.run(add, values, call))[0] };
      if (row) return { resource: parseRow(sourceSchema, row), replayed: false };
      const resource = await getSource(database, tenantId, made ?? id, call);
      if (made && !resource) throw new CygniError('not_found', 'what this request made is gone');
      if (resource && (made || (resource.key === key && resource.sha256 === sha256))) {
        return { resource, replayed: true };
      }
      throw new CygniError('conflict', `there is another source ${id}`);
    },
    getSource: (tenantId, id, call) => getSource(database, tenantId, id, call),
  };
}
