import { type AuditEvent, auditEventSchema, eventTypes, pageOf, type Store } from '@cygni/core';
import type { Database } from '../database.ts';
import { positionOf } from '../pages.ts';
import { parseRow } from '../rows.ts';
import { statement } from '../statement.ts';

/** A statement that records one event: $1 tenant, $2 subject, $3 data. */
export function eventOf({ type }: { readonly type: AuditEvent['type'] }): string {
  return `INSERT INTO cygni.events (tenant_id, type, subject, data) VALUES ($1, '${type}', $2, $3)`;
}

/** $5 the types that this version knows: a newer one beside it may record others. */
const list = statement(
  'event-list',
  `SELECT id, tenant_id AS "tenantId", type, subject, data, created_at AS "createdAt"
     FROM cygni.events
    WHERE tenant_id = $1 AND (created_at, id) < ($2::timestamptz, $3::uuid) AND type = ANY ($5::text[])
    ORDER BY created_at DESC, id DESC
    LIMIT $4`,
);

export function eventOperations(database: Database): Pick<Store, 'listEvents'> {
  return {
    async listEvents(tenantId, page, call) {
      const values = [tenantId, ...positionOf(page), page.limit + 1, eventTypes];
      const rows = await database.run(list, values, call);
      const events = rows.map((row) => parseRow(auditEventSchema, row));
      return pageOf(events, page, ({ createdAt, id }) => ({ createdAt, id }));
    },
  };
}
