import type { Store } from '@cygni/core';
import type { Database } from '../database.ts';
import { statement } from '../statement.ts';

const waiting = statement(
  'dispatch-waiting',
  `SELECT FROM cygni.builds WHERE state = 'QUEUED' AND NOT dispatched LIMIT 1`,
);

/**
 * One dispatch at a time, or two would both fill the same room. A statement of its own: the next one sees what the one
 * before left. On the way, $1 notes go: what an acceptance leaves in the outbox tells a relay of the version before;
 * here the build itself says that it waits.
 */
const lock = statement(
  'dispatch-lock',
  `WITH drained AS (
    DELETE FROM cygni.outbox
     WHERE id = ANY (ARRAY (SELECT id FROM cygni.outbox
                             WHERE kind = 'build' AND NOT ready
                             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
  )
  SELECT pg_advisory_xact_lock(hashtextextended('cygni.dispatch', 0))`,
);

/**
 * $1 most per tenant, $2 most unclaimed, $3 limit. Hops from tenant to tenant in the index of queued builds, and of
 * each looks at as many builds as it has room for: a backlog is not read.
 */
const dispatch = statement(
  'dispatch',
  `WITH RECURSIVE room AS (
    SELECT greatest(0, least($3::bigint, $2::bigint - count(*))) AS size
      FROM cygni.builds WHERE state = 'QUEUED' AND dispatched
  ),
  tenant AS (
    (SELECT tenant_id FROM cygni.builds
      WHERE state = 'QUEUED' AND (SELECT size FROM room) > 0
      ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT next.tenant_id FROM cygni.builds AS next
             WHERE next.state = 'QUEUED' AND next.tenant_id > tenant.tenant_id
             ORDER BY next.tenant_id LIMIT 1)
      FROM tenant WHERE tenant.tenant_id IS NOT NULL
  ),
  candidate AS (
    SELECT waiting.id, tenant.tenant_id, waiting.place,
           (SELECT turn FROM cygni.dispatch_turns AS last WHERE last.tenant_id = tenant.tenant_id) AS turn
      FROM tenant
     CROSS JOIN LATERAL (
       SELECT greatest(0, $1::bigint - count(*)) AS free
         FROM cygni.builds AS held
        WHERE held.tenant_id = tenant.tenant_id
          AND (held.state = 'RUNNING' OR (held.state = 'QUEUED' AND held.dispatched))) AS slots
     CROSS JOIN LATERAL (
       SELECT oldest.id, row_number() OVER (ORDER BY oldest.created_at, oldest.id) AS place
         FROM (SELECT build.id, build.created_at
                 FROM cygni.builds AS build
                WHERE build.tenant_id = tenant.tenant_id AND build.state = 'QUEUED' AND NOT build.dispatched
                  AND build.counted_attempts < build.maximum_attempts
                ORDER BY build.created_at, build.id
                LIMIT least(slots.free, (SELECT size FROM room))) AS oldest) AS waiting
     WHERE tenant.tenant_id IS NOT NULL
  ),
  chosen AS (
    SELECT id, tenant_id, row_number() OVER (ORDER BY place, turn NULLS FIRST, tenant_id) AS rank
      FROM candidate
     ORDER BY place, turn NULLS FIRST, tenant_id
     LIMIT (SELECT size FROM room)
  ),
  dispatched AS (
    UPDATE cygni.builds AS build
       SET dispatched = true, enqueued_at = now()
      FROM chosen
     WHERE build.id = chosen.id AND build.state = 'QUEUED' AND NOT build.dispatched
    RETURNING build.id, build.tenant_id, chosen.rank
  ),
  served AS (
    INSERT INTO cygni.dispatch_turns (tenant_id, turn)
    SELECT tenant_id, nextval('cygni.dispatches')
      FROM (SELECT tenant_id, max(rank) AS last FROM dispatched GROUP BY tenant_id ORDER BY last) AS tenant
    ON CONFLICT (tenant_id) DO UPDATE SET turn = excluded.turn
  )
  INSERT INTO cygni.outbox (kind, work_id, ready)
  SELECT 'build', id, true FROM dispatched ORDER BY rank
  RETURNING work_id`,
);

const drainedAtOnce = 5_000;

export function dispatchOperations(database: Database): Pick<Store, 'dispatchBuilds'> {
  return {
    async dispatchBuilds({ maximumPerTenant, maximumUnclaimed, limit }, call) {
      // What the server forgets of it was not claimed either, and is let through again.
      const dispatched = await database.forgettable(
        waiting,
        async (session) => {
          await session.run(lock, [drainedAtOnce]);
          const values = [maximumPerTenant, maximumUnclaimed, limit];
          return (await session.run(dispatch, values)).length;
        },
        call,
      );
      return dispatched ?? 0;
    },
  };
}
