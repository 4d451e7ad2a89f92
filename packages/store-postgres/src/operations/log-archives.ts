import { idSchema, type Store } from '@cygni/core';
import { z } from 'zod';
import type { Database } from '../database.ts';
import { parseRow } from '../rows.ts';
import { statement } from '../statement.ts';
import { readLines } from './logs.ts';

/**
 * $1 seconds. Hops from log to log in the index of chunks, which has those of running builds and those that are to be
 * archived, and stops at the first that is due.
 */
const begin = statement(
  'log-archive-begin',
  `WITH RECURSIVE log AS (
    (SELECT tenant_id, build_id FROM cygni.log_chunks ORDER BY tenant_id, build_id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id, next.build_id
      FROM log
     CROSS JOIN LATERAL (
       SELECT chunk.tenant_id, chunk.build_id FROM cygni.log_chunks AS chunk
        WHERE (chunk.tenant_id, chunk.build_id) > (log.tenant_id, log.build_id)
        ORDER BY chunk.tenant_id, chunk.build_id LIMIT 1) AS next
  ),
  due AS (
    SELECT log.tenant_id, log.build_id,
           (SELECT key FROM cygni.log_archives AS old
             WHERE old.tenant_id = log.tenant_id AND old.build_id = log.build_id) AS old_key
      FROM log
     WHERE (SELECT finished_at FROM cygni.builds AS build
             WHERE build.tenant_id = log.tenant_id AND build.id = log.build_id) IS NOT NULL
       AND coalesce((SELECT coalesce(lease_until, 'infinity') < now() FROM cygni.log_archives AS old
                      WHERE old.tenant_id = log.tenant_id AND old.build_id = log.build_id), true)
     LIMIT 1
  ),
  begun AS (
    INSERT INTO cygni.log_archives AS archive (tenant_id, build_id, key, lease_until)
    SELECT tenant_id, build_id, format('%s/logs/%s/%s.ndjson.gz', tenant_id, build_id, gen_random_uuid()),
           now() + $1::float8 * interval '1 second'
      FROM due
    ON CONFLICT (tenant_id, build_id) DO UPDATE SET key = excluded.key, lease_until = excluded.lease_until
     WHERE archive.lease_until < now()
    RETURNING archive.tenant_id, archive.build_id, archive.key
  ),
  garbage AS (
    INSERT INTO cygni.garbage (key)
    SELECT old_key FROM due WHERE old_key IS NOT NULL AND EXISTS (SELECT FROM begun)
    ON CONFLICT DO NOTHING
  )
  SELECT tenant_id AS "tenantId", build_id AS "buildId", key FROM begun`,
);

/** $1 tenant, $2 build, $3 key. What another has begun anew meanwhile, or what is gone, is left: then the key is garbage. */
const complete = statement(
  'log-archive-complete',
  `WITH kept AS (
    UPDATE cygni.log_archives SET lease_until = NULL
     WHERE tenant_id = $1 AND build_id = $2 AND key = $3 AND lease_until IS NOT NULL
    RETURNING tenant_id, build_id, key
  ),
  dropped AS (
    DELETE FROM cygni.log_chunks AS chunk USING kept
     WHERE chunk.tenant_id = kept.tenant_id AND chunk.build_id = kept.build_id
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'build.log_archived', build_id, json_build_object('key', key) FROM kept
  )
  INSERT INTO cygni.garbage (key)
  SELECT $3
   WHERE NOT EXISTS (SELECT FROM kept)
     AND NOT EXISTS (SELECT FROM cygni.log_archives WHERE tenant_id = $1 AND build_id = $2 AND key = $3)
  ON CONFLICT DO NOTHING`,
);

const find = statement(
  'log-archive-find',
  `SELECT key FROM cygni.log_archives
    WHERE tenant_id = $1 AND build_id = $2 AND lease_until IS NULL`,
);

const begunSchema = z.object({ tenantId: z.string(), buildId: z.string(), key: z.string() });

export function logArchiveOperations(
  database: Database,
): Pick<Store, 'archiveLog' | 'getLogArchive'> {
  return {
    async archiveLog({ leaseSeconds }, write, call) {
      const [row] = await database.run(begin, [leaseSeconds], call);
      if (!row) return false;
      const archive = parseRow(begunSchema, row);
      const { tenantId, buildId, key } = archive;
      await write({ ...archive, lines: readLines(database, tenantId, buildId, call) });
      await database.run(complete, [tenantId, buildId, key], call);
      return true;
    },

    async getLogArchive(tenantId, buildId, call) {
      if (!idSchema.safeParse(buildId).success) return null;
      const [row] = await database.run(find, [tenantId, buildId], call);
      return row ? String(row.key) : null;
    },
  };
}
