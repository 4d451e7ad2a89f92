import {
  type Accepted,
  type Call,
  CygniError,
  idSchema,
  pageOf,
  preconditionError,
  type Store,
  type WebhookEndpoint,
  webhookEndpointSchema,
} from '@cygni/core';
import type { Database } from '../database.ts';
import { positionOf } from '../pages.ts';
import { parseRow, type Row } from '../rows.ts';
import { statement } from '../statement.ts';
import { takeKey } from './idempotency.ts';

const fields = {
  id: 'id',
  tenantId: 'tenant_id',
  url: 'url',
  description: 'description',
  eventTypes: 'event_types',
  disabledReason: 'disabled_reason',
  secrets: 'secrets',
  version: 'version',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
};

export const endpointColumns = (table: string, prefix = '') =>
  Object.entries(fields)
    .map(([field, column]) => `${table}.${column} AS "${prefix}${field}"`)
    .join(', ');

/** $1 tenant. One at a time of each tenant, so that none gets past the maximum. */
const lock = statement(
  'webhook-lock',
  `SELECT pg_advisory_xact_lock(hashtextextended('cygni.webhooks/' || $1, 0))`,
);

/** $1 tenant, $2 id, $3 URL, $4 description, $5 event types, $6 secret, $7 its key, $8 maximum. */
const add = statement(
  'webhook-add',
  `WITH endpoint AS (
    INSERT INTO cygni.webhook_endpoints (tenant_id, id, url, description, event_types, secrets)
    SELECT $1, $2, $3, $4, $5::text[], json_build_array(json_build_object('id', $6::text, 'keyId', $7::text, 'expiresAt', null))
     WHERE (SELECT count(*) FROM cygni.webhook_endpoints WHERE tenant_id = $1) < $8
    RETURNING *
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'webhook_endpoint.created', id, json_build_object('eventTypes', event_types) FROM endpoint
  )
  SELECT ${endpointColumns('endpoint')} FROM endpoint`,
);

const read = statement(
  'webhook-read',
  `SELECT ${endpointColumns('endpoint')} FROM cygni.webhook_endpoints AS endpoint
    WHERE tenant_id = $1 AND id = $2`,
);

const list = statement(
  'webhook-list',
  `SELECT ${endpointColumns('endpoint')} FROM cygni.webhook_endpoints AS endpoint
    WHERE tenant_id = $1 AND (created_at, id) < ($2::timestamptz, $3::uuid)
    ORDER BY created_at DESC, id DESC
    LIMIT $4`,
);

/** $1 tenant, $2 id, $3 version or null, $4 URL, $5 whether $6 is the description, $7 event types, $8 whether $9 is the reason. */
const update = statement(
  'webhook-update',
  `WITH endpoint AS (
    UPDATE cygni.webhook_endpoints
       SET url = coalesce($4, url),
           description = CASE WHEN $5::boolean THEN $6 ELSE description END,
           event_types = coalesce($7::text[], event_types),
           disabled_reason = CASE WHEN $8::boolean THEN $9 ELSE disabled_reason END,
           version = version + 1, updated_at = now()
     WHERE tenant_id = $1 AND id = $2 AND version = coalesce($3, version)
    RETURNING *
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'webhook_endpoint.updated', id,
           json_build_object('eventTypes', event_types, 'disabled', disabled_reason IS NOT NULL) FROM endpoint
  )
  SELECT ${endpointColumns('endpoint')} FROM endpoint`,
);

/** $1 tenant, $2 id, $3 secret, $4 its key, $5 seconds for which the one before stays. */
const rotate = statement(
  'webhook-rotate',
  `WITH endpoint AS (
    UPDATE cygni.webhook_endpoints
       SET secrets = json_build_array(
             json_build_object('id', $3::text, 'keyId', $4::text, 'expiresAt', null),
             json_build_object(
               'id', secrets -> 0 ->> 'id', 'keyId', secrets -> 0 ->> 'keyId',
               'expiresAt', to_char((now() + $5::float8 * interval '1 second') AT TIME ZONE 'UTC',
                                    'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))),
           version = version + 1, updated_at = now()
     WHERE tenant_id = $1 AND id = $2
    RETURNING *
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'webhook_endpoint.secret_rotated', id, '{}' FROM endpoint
  )
  SELECT ${endpointColumns('endpoint')} FROM endpoint`,
);

/** $1 tenant, $2 id, $3 version or null. */
const remove = statement(
  'webhook-remove',
  `WITH endpoint AS (
    DELETE FROM cygni.webhook_endpoints
     WHERE tenant_id = $1 AND id = $2 AND version = coalesce($3, version)
    RETURNING tenant_id, id
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'webhook_endpoint.deleted', id, '{}' FROM endpoint
  )
  SELECT id FROM endpoint`,
);

type Methods =
  | 'addWebhookEndpoint'
  | 'getWebhookEndpoint'
  | 'listWebhookEndpoints'
  | 'updateWebhookEndpoint'
  | 'rotateWebhookSecret'
  | 'deleteWebhookEndpoint';

export function webhookEndpointOperations(database: Database): Pick<Store, Methods> {
  const getWebhookEndpoint: Store['getWebhookEndpoint'] = async (tenantId, id, call) => {
    if (!idSchema.safeParse(id).success) return null;
    const [row] = await database.run(read, [tenantId, id], call);
    return row ? endpointOf(row) : null;
  };

  async function replay(
    tenantId: string,
    id: string,
    call: Call,
  ): Promise<Accepted<WebhookEndpoint>> {
    const resource = await getWebhookEndpoint(tenantId, id, call);
    if (!resource) throw new CygniError('not_found', 'what this request made is gone');
    return { resource, replayed: true };
  }

  return {
    async addWebhookEndpoint(endpoint, maximum, idempotency, call) {
      const { tenantId, id, url, description, eventTypes, secret } = endpoint;
      const values = [tenantId, id, url, description, eventTypes, secret.id, secret.keyId, maximum];
      const made = await database.transaction(async ({ run }) => {
        const replayOf = idempotency && (await takeKey(run, tenantId, idempotency, id));
        if (replayOf) return replayOf;
        await run(lock, [tenantId]);
        const [row] = await run(add, values);
        if (row) return endpointOf(row);
        throw new CygniError('conflict', `there are ${maximum} webhook endpoints, and no more fit`);
      }, call);
      return typeof made === 'string' ? replay(tenantId, made, call) : accepted(made);
    },

    getWebhookEndpoint,

    async listWebhookEndpoints(tenantId, page, call) {
      const values = [tenantId, ...positionOf(page), page.limit + 1];
      const rows = await database.run(list, values, call);
      return pageOf(rows.map(endpointOf), page, ({ createdAt, id }) => ({ createdAt, id }));
    },

    async updateWebhookEndpoint(tenantId, id, changes, version, call) {
      if (!idSchema.safeParse(id).success) return null;
      const { url = null, description, eventTypes = null, disabledReason } = changes;
      const values = [
        ...[tenantId, id, version, url],
        ...[description !== undefined, description ?? null, eventTypes],
        ...[disabledReason !== undefined, disabledReason ?? null],
      ];
      const [row] = await database.run(update, values, call);
      if (row) return endpointOf(row);
      if (!(await getWebhookEndpoint(tenantId, id, call))) return null;
      throw preconditionError();
    },

    async rotateWebhookSecret(tenantId, id, secret, idempotency, call) {
      if (!idSchema.safeParse(id).success) return null;
      const values = [tenantId, id, secret.id, secret.keyId, secret.overlapSeconds];
      const made = await database.transaction(async ({ run }) => {
        if (idempotency) {
          // No key is taken for what is not there.
          if (!(await run(read, [tenantId, id]))[0]) return null;
          const replayOf = await takeKey(run, tenantId, idempotency, id);
          if (replayOf) return replayOf;
        }
        const [row] = await run(rotate, values);
        return row ? endpointOf(row) : null;
      }, call);
      return typeof made === 'string' ? replay(tenantId, made, call) : made && accepted(made);
    },

    async deleteWebhookEndpoint(tenantId, id, version, call) {
      if (!idSchema.safeParse(id).success) return false;
      return (await database.run(remove, [tenantId, id, version], call)).length > 0;
    },
  };
}

function accepted(resource: WebhookEndpoint): Accepted<WebhookEndpoint> {
  return { resource, replayed: false };
}

export function endpointOf(row: Row): WebhookEndpoint {
  return parseRow(webhookEndpointSchema, row);
}
