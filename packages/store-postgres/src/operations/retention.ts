import type { Call, Store } from '@cygni/core';
import type { Session } from '../checkout.ts';
import type { Database } from '../database.ts';
import { type Statement, statement } from '../statement.ts';

/** One server at a time; the others have nothing to do meanwhile. */
const tryLock = statement(
  'prune-lock',
  `SELECT pg_try_advisory_xact_lock(hashtextextended('cygni.prune', 0)) AS "locked"`,
);

const before = (seconds: string) => `now() - ${seconds}::float8 * interval '1 second'`;

/** Hops from tenant to tenant in an index that begins with the tenant. */
const tenants = (table: string) => `
  RECURSIVE tenant AS (
    (SELECT tenant_id FROM ${table} ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT next.tenant_id FROM ${table} AS next
             WHERE next.tenant_id > tenant.tenant_id ORDER BY next.tenant_id LIMIT 1)
      FROM tenant WHERE tenant.tenant_id IS NOT NULL
  )`;

/** Of `build`; $1 is how long it is kept. Something may still return to what it built. */
const isNeeded = `
  EXISTS (
    SELECT FROM cygni.revisions AS revision
      JOIN cygni.services AS service
        ON service.tenant_id = revision.tenant_id AND service.name = revision.service
     WHERE revision.tenant_id = build.tenant_id
       AND (revision.build_id = build.id OR revision.digest = build.image ->> 'digest')
       AND (revision.number IN (service.stable_revision, service.previous_revision)
            OR greatest(revision.created_at, revision.healthy_at, revision.replaced_at) >= ${before('$1')}
            OR EXISTS (SELECT FROM cygni.deployments AS deployment
                        WHERE deployment.tenant_id = revision.tenant_id
                          AND deployment.service = revision.service
                          AND deployment.revision = revision.number
                          AND deployment.state IN ('QUEUED', 'RUNNING'))))`;

/** Of `build`. Whoever writes its log would leave an artifact that nothing names. */
const isBeingArchived = `
  EXISTS (SELECT FROM cygni.log_archives AS archive
           WHERE archive.tenant_id = build.tenant_id AND archive.build_id = build.id
             AND archive.lease_until >= now())`;

/** $1 how long it is kept, $2 limit. Locked, so that nothing can begin to refer to them; what is in use is left for later. */
const findBuilds = statement(
  'prune-find-builds',
  `SELECT id FROM cygni.builds
    WHERE id = ANY (ARRAY (
      WITH ${tenants('cygni.builds')}
      SELECT due.id
        FROM tenant
       CROSS JOIN LATERAL (
         SELECT build.id FROM cygni.builds AS build
          WHERE build.tenant_id = tenant.tenant_id AND build.created_at < ${before('$1')}
            AND build.finished_at < ${before('$1')} AND NOT ${isNeeded} AND NOT ${isBeingArchived}
          ORDER BY build.created_at, build.id
          LIMIT $2) AS due
       LIMIT $2))
      FOR UPDATE SKIP LOCKED`,
);

/** $1 how long it is kept, $2 builds. Looks again at what came to refer to them before they were locked. */
const removeBuilds = statement(
  'prune-builds',
  `WITH gone AS (
    DELETE FROM cygni.builds AS build
     WHERE build.id = ANY ($2::uuid[]) AND NOT ${isNeeded} AND NOT ${isBeingArchived}
    RETURNING build.tenant_id, build.id, build.source_id
  ),
  holds AS (
    DELETE FROM cygni.holds AS hold USING gone WHERE hold.work_id = gone.id
  ),
  garbage AS (
    INSERT INTO cygni.garbage (key)
    SELECT archive.key
      FROM gone JOIN cygni.log_archives AS archive
        ON archive.tenant_id = gone.tenant_id AND archive.build_id = gone.id
    ON CONFLICT DO NOTHING
  ),
  source AS (
    INSERT INTO cygni.source_checks (tenant_id, source_id, created_at)
    SELECT DISTINCT source.tenant_id, source.id, source.created_at
      FROM gone JOIN cygni.sources AS source ON source.tenant_id = gone.tenant_id AND source.id = gone.source_id
    ON CONFLICT DO NOTHING
  )
  SELECT tenant_id AS "tenantId" FROM gone`,
);

/** $1 how long it is kept, $2 limit. */
const removeDeployments = statement(
  'prune-deployments',
  `WITH gone AS (
    DELETE FROM cygni.deployments
     WHERE id = ANY (ARRAY (
       WITH ${tenants('cygni.deployments')}
       SELECT due.id
         FROM tenant
        CROSS JOIN LATERAL (
          SELECT id FROM cygni.deployments AS deployment
           WHERE deployment.tenant_id = tenant.tenant_id AND deployment.created_at < ${before('$1')}
             AND deployment.finished_at < ${before('$1')}
           ORDER BY deployment.created_at, deployment.id
           LIMIT $2) AS due
        LIMIT $2))
    RETURNING tenant_id, id
  ),
  holds AS (
    DELETE FROM cygni.holds AS hold USING gone WHERE hold.work_id = gone.id
  )
  SELECT tenant_id AS "tenantId" FROM gone`,
);

/** $1 how long it is kept, $2 limit. Locked as the builds are. */
const findSources = statement(
  'prune-find-sources',
  `SELECT source.tenant_id AS "tenantId", source.id
     FROM cygni.source_checks AS due
     JOIN cygni.sources AS source ON source.tenant_id = due.tenant_id AND source.id = due.source_id
    WHERE due.created_at < ${before('$1')}
    ORDER BY due.created_at
    LIMIT $2
      FOR UPDATE OF source SKIP LOCKED`,
);

/** $1 tenants, $2 sources. Those that a build uses are looked at again when it is removed. */
const removeSources = statement(
  'prune-sources',
  `WITH looked AS (
    SELECT tenant_id, id FROM unnest($1::text[], $2::uuid[]) AS looked (tenant_id, id)
  ),
  gone AS (
    DELETE FROM cygni.sources AS source USING looked
     WHERE source.tenant_id = looked.tenant_id AND source.id = looked.id
       AND NOT EXISTS (SELECT FROM cygni.builds AS build
                        WHERE build.tenant_id = source.tenant_id AND build.source_id = source.id)
    RETURNING source.tenant_id, source.id, source.key
  ),
  used AS (
    DELETE FROM cygni.source_checks AS checked USING looked
     WHERE checked.tenant_id = looked.tenant_id AND checked.source_id = looked.id
       AND NOT EXISTS (SELECT FROM gone WHERE gone.tenant_id = looked.tenant_id AND gone.id = looked.id)
  ),
  garbage AS (
    INSERT INTO cygni.garbage (key) SELECT key FROM gone ON CONFLICT DO NOTHING
  )
  SELECT tenant_id AS "tenantId" FROM gone`,
);

/** $1 how long it is kept, $2 limit. */
const removeEvents = statement(
  'prune-events',
  `WITH ${tenants('cygni.events')},
  due AS (
    SELECT old.*
      FROM tenant
     CROSS JOIN LATERAL (
       SELECT event.tenant_id, event.created_at, event.id FROM cygni.events AS event
        WHERE event.tenant_id = tenant.tenant_id AND event.created_at < ${before('$1')}
        ORDER BY event.created_at, event.id
        LIMIT $2) AS old
     LIMIT $2
  )
  DELETE FROM cygni.events AS event USING due
   WHERE event.tenant_id = due.tenant_id AND event.created_at = due.created_at AND event.id = due.id
  RETURNING event.tenant_id AS "tenantId"`,
);

const recordPruned = statement(
  'prune-event',
  `INSERT INTO cygni.events (tenant_id, type, subject, data)
   SELECT tenant_id, 'retention.pruned', tenant_id, json_build_object($2::text, count(*))
     FROM unnest($1::text[]) AS tenant_id GROUP BY tenant_id`,
);

const takeGarbage = statement(
  'garbage-take',
  'SELECT key FROM cygni.garbage ORDER BY key LIMIT $1 FOR UPDATE SKIP LOCKED',
);
const forgetGarbage = statement(
  'garbage-forget',
  'DELETE FROM cygni.garbage WHERE key = ANY ($1::text[])',
);

export function retentionOperations(database: Database): Pick<Store, 'prune' | 'takeGarbage'> {
  /** In one transaction, unless another server is pruning. Returns how many rows went. */
  function pruning(
    kind: 'builds' | 'deployments' | 'sources' | 'events',
    remove: (session: Session) => Promise<readonly { readonly tenantId?: unknown }[]>,
    call: Call,
  ): Promise<number> {
    return database.transaction(async (session) => {
      const [lock] = await session.run(tryLock);
      if (lock?.locked !== true) return 0;
      const gone = await remove(session);
      if (gone.length > 0 && kind !== 'events') {
        await session.run(recordPruned, [gone.map(({ tenantId }) => tenantId), kind]);
      }
      return gone.length;
    }, call);
  }

  const removing = (text: Statement, seconds: number, limit: number) => (session: Session) =>
    session.run(text, [seconds, limit]);

  return {
    async prune({ workSeconds, sourceSeconds, eventSeconds, limit }, call) {
      const builds = await pruning(
        'builds',
        async (session) => {
          const due = await session.run(findBuilds, [workSeconds, limit]);
          if (due.length === 0) return [];
          return session.run(removeBuilds, [workSeconds, due.map(({ id }) => id)]);
        },
        call,
      );
      const deployments = await pruning(
        'deployments',
        removing(removeDeployments, workSeconds, limit),
        call,
      );
      const sources = await pruning(
        'sources',
        async (session) => {
          const due = await session.run(findSources, [sourceSeconds, limit]);
          if (due.length === 0) return [];
          const columns = [due.map(({ tenantId }) => tenantId), due.map(({ id }) => id)];
          return session.run(removeSources, columns);
        },
        call,
      );
      const events = await pruning('events', removing(removeEvents, eventSeconds, limit), call);
      return { builds, deployments, sources, events };
    },

    async takeGarbage(limit, remove, call) {
      let refusal: { readonly reason: unknown } | undefined;
      try {
        return await database.transaction(async (session) => {
          const keys = (await session.run(takeGarbage, [limit])).map(({ key }) => String(key));
          if (keys.length === 0) return 0;
          await remove(keys).catch((reason: unknown) => {
            refusal = { reason };
            throw reason;
          });
          await session.run(forgetGarbage, [keys]);
          return keys.length;
        }, call);
      } catch (error) {
        throw refusal ? refusal.reason : error;
      }
    },
  };
}
