import {
  type DeliveryClaim,
  deliveredEventSchema,
  idSchema,
  pageOf,
  type Store,
  type WebhookDelivery,
  webhookDeliverySchema,
} from '@cygni/core';
import { z } from 'zod';
import type { Database } from '../database.ts';
import { positionOf } from '../pages.ts';
import { own, parseRow, part, type Row } from '../rows.ts';
import { statement } from '../statement.ts';
import { endpointColumns, endpointOf } from './webhook-endpoints.ts';

const columns = `delivery.id, delivery.tenant_id AS "tenantId", delivery.endpoint_id AS "endpointId",
  delivery.event_id AS "eventId", delivery.event_type AS "eventType", delivery.state, delivery.attempt,
  CASE WHEN delivery.state = 'PENDING' THEN delivery.due_at END AS "nextAttemptAt",
  delivery.last_status AS "lastStatus", delivery.last_error AS "lastError",
  delivery.created_at AS "createdAt", delivery.finished_at AS "finishedAt"`;

const announce = statement(
  'notifier-announce',
  `INSERT INTO cygni.notifiers (name) VALUES ($1)
   ON CONFLICT (name) DO UPDATE SET seen_at = now()`,
);

/**
 * $1 whether to endpoints, $2 notifiers, $3 most under a lease to each target, $4 limit, $5 seconds. Hops from target to
 * target, so that one that has much to get keeps no other waiting; what two callers find at once, the second leaves.
 */
const claim = statement(
  'delivery-claim',
  `WITH RECURSIVE target AS (
    (SELECT target AS name FROM cygni.deliveries WHERE state = 'PENDING' ORDER BY target LIMIT 1)
    UNION ALL
    SELECT (SELECT next.target FROM cygni.deliveries AS next
             WHERE next.state = 'PENDING' AND next.target > target.name ORDER BY next.target LIMIT 1)
      FROM target WHERE target.name IS NOT NULL
  ),
  due AS (
    SELECT waiting.id
      FROM target
     CROSS JOIN LATERAL (
       SELECT delivery.id, delivery.due_at FROM cygni.deliveries AS delivery
        WHERE delivery.state = 'PENDING' AND delivery.target = target.name AND delivery.due_at <= now()
        ORDER BY delivery.due_at
        LIMIT greatest(0, $3 - (SELECT count(*) FROM cygni.deliveries AS leased
                                 WHERE leased.target = target.name AND leased.lease_until > now()))) AS waiting
     WHERE CASE WHEN starts_with(target.name, 'endpoint/') THEN $1::boolean
                ELSE target.name = ANY (SELECT 'notifier/' || name FROM unnest($2::text[]) AS name) END
     ORDER BY waiting.due_at
     LIMIT $4
  ),
  claimed AS (
    UPDATE cygni.deliveries AS delivery
       SET attempt = delivery.attempt + 1, due_at = now() + $5::float8 * interval '1 second',
           lease_until = now() + $5::float8 * interval '1 second'
      FROM due
     WHERE delivery.id = due.id AND delivery.state = 'PENDING' AND delivery.due_at <= now()
    RETURNING delivery.*
  )
  SELECT claimed.id, claimed.attempt, claimed.tries, claimed.target, claimed.event,
         endpoint.id IS NOT NULL AS "isToEndpoint", ${endpointColumns('endpoint', 'endpoint.')}
    FROM claimed
    LEFT JOIN cygni.webhook_endpoints AS endpoint
      ON endpoint.tenant_id = claimed.tenant_id AND endpoint.id = claimed.endpoint_id`,
);

/** $1 id, $2 attempt, $3 state, $4 status, $5 error, $6 seconds, $7 whether it counts, $8 why its endpoint is disabled. */
const finish = statement(
  'delivery-finish',
  `WITH finished AS (
    UPDATE cygni.deliveries
       SET state = $3, last_status = $4, last_error = $5, lease_until = NULL,
           tries = tries + CASE WHEN $7::boolean THEN 1 ELSE 0 END,
           due_at = now() + $6::float8 * interval '1 second',
           finished_at = CASE WHEN $3 = 'PENDING' THEN NULL ELSE now() END
     WHERE id = $1 AND attempt = $2 AND lease_until IS NOT NULL
    RETURNING id, tenant_id, endpoint_id
  ),
  disabled AS (
    UPDATE cygni.webhook_endpoints AS endpoint
       SET disabled_reason = $8, version = version + 1, updated_at = now()
      FROM finished
     WHERE endpoint.tenant_id = finished.tenant_id AND endpoint.id = finished.endpoint_id
       AND $8::text IS NOT NULL AND endpoint.disabled_reason IS NULL
    RETURNING endpoint.tenant_id, endpoint.id
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'webhook_endpoint.disabled', id, json_build_object('reason', $8) FROM disabled
  )
  SELECT id FROM finished`,
);

const read = statement(
  'delivery-read',
  `SELECT ${columns} FROM cygni.deliveries AS delivery
    WHERE tenant_id = $1 AND id = $2 AND endpoint_id IS NOT NULL`,
);

const list = statement(
  'delivery-list',
  `SELECT ${columns} FROM cygni.deliveries AS delivery
    WHERE tenant_id = $1 AND endpoint_id = $2 AND (created_at, id) < ($3::timestamptz, $4::uuid)
    ORDER BY created_at DESC, id DESC
    LIMIT $5`,
);

const redeliver = statement(
  'delivery-redeliver',
  `UPDATE cygni.deliveries AS delivery
      SET state = 'PENDING', tries = 0, due_at = now(), lease_until = NULL, finished_at = NULL
    WHERE tenant_id = $1 AND id = $2 AND endpoint_id IS NOT NULL
      AND (lease_until IS NULL OR lease_until < now())
   RETURNING ${columns}`,
);

/** $1 how long they are kept, $2 limit. */
const prune = statement(
  'delivery-prune',
  `DELETE FROM cygni.deliveries
    WHERE id = ANY (ARRAY (
      SELECT id FROM cygni.deliveries
       WHERE state <> 'PENDING' AND finished_at < now() - $1::float8 * interval '1 second'
       ORDER BY finished_at
       LIMIT $2))
   RETURNING id`,
);

/** $1 how long they are kept. */
const forgetNotifiers = statement(
  'notifier-forget',
  `DELETE FROM cygni.notifiers WHERE seen_at < now() - $1::float8 * interval '1 second'`,
);

/** $1 limit. Of notifiers that are forgotten. */
const pruneForgotten = statement(
  'delivery-prune-forgotten',
  `WITH RECURSIVE target AS (
    (SELECT target AS name FROM cygni.deliveries WHERE state = 'PENDING' AND target > 'notifier/' ORDER BY target LIMIT 1)
    UNION ALL
    SELECT (SELECT next.target FROM cygni.deliveries AS next
             WHERE next.state = 'PENDING' AND next.target > target.name ORDER BY next.target LIMIT 1)
      FROM target WHERE target.name IS NOT NULL
  )
  DELETE FROM cygni.deliveries
   WHERE id = ANY (ARRAY (
     SELECT forgotten.id
       FROM target
      CROSS JOIN LATERAL (SELECT delivery.id FROM cygni.deliveries AS delivery
                           WHERE delivery.state = 'PENDING' AND delivery.target = target.name LIMIT $1) AS forgotten
      WHERE starts_with(target.name, 'notifier/')
        AND NOT EXISTS (SELECT FROM cygni.notifiers AS notifier WHERE 'notifier/' || notifier.name = target.name)
      LIMIT $1))
  RETURNING id`,
);

const claimSchema = z.object({
  id: z.string(),
  attempt: z.int(),
  tries: z.int(),
  target: z.string(),
  event: deliveredEventSchema,
  isToEndpoint: z.boolean(),
});

type Methods =
  | 'announceNotifier'
  | 'claimDeliveries'
  | 'finishDelivery'
  | 'getDelivery'
  | 'listDeliveries'
  | 'redeliver'
  | 'pruneDeliveries';

export function deliveryOperations(database: Database): Pick<Store, Methods> {
  const getDelivery: Store['getDelivery'] = async (tenantId, id, call) => {
    if (!idSchema.safeParse(id).success) return null;
    const [row] = await database.run(read, [tenantId, id], call);
    return row ? deliveryOf(row) : null;
  };

  return {
    async announceNotifier(name, call) {
      await database.run(announce, [name], call);
    },

    async claimDeliveries({ endpoints, notifiers, maximumPerTarget, limit, leaseSeconds }, call) {
      const values = [endpoints, notifiers, maximumPerTarget, limit, leaseSeconds];
      return (await database.run(claim, values, call)).map(claimOf);
    },

    async finishDelivery({ id, attempt }, result, call) {
      const { state, status, error, retryInSeconds, counted, disableEndpoint } = result;
      const values = [id, attempt, state, status, error, retryInSeconds, counted, disableEndpoint];
      return (await database.run(finish, values, call)).length > 0;
    },

    getDelivery,

    async listDeliveries(tenantId, endpointId, page, call) {
      if (!idSchema.safeParse(endpointId).success) return { items: [], nextCursor: null };
      const values = [tenantId, endpointId, ...positionOf(page), page.limit + 1];
      const rows = await database.run(list, values, call);
      return pageOf(rows.map(deliveryOf), page, ({ createdAt, id }) => ({ createdAt, id }));
    },

    async redeliver(tenantId, id, call) {
      if (!idSchema.safeParse(id).success) return null;
      const [row] = await database.run(redeliver, [tenantId, id], call);
      return row ? deliveryOf(row) : getDelivery(tenantId, id, call);
    },

    async pruneDeliveries({ keepSeconds, limit }, call) {
      const ended = await database.run(prune, [keepSeconds, limit], call);
      await database.run(forgetNotifiers, [keepSeconds], call);
      const forgotten = await database.run(pruneForgotten, [limit], call);
      return ended.length + forgotten.length;
    },
  };
}

function deliveryOf(row: Row): WebhookDelivery {
  return parseRow(webhookDeliverySchema, row);
}

function claimOf(row: Row): DeliveryClaim {
  const { id, attempt, tries, target, event, isToEndpoint } = parseRow(claimSchema, own(row));
  return {
    fence: { id, attempt },
    tries,
    event,
    target: isToEndpoint
      ? { endpoint: endpointOf(part(row, 'endpoint')) }
      : { endpoint: null, notifier: target.slice('notifier/'.length) },
  };
}
