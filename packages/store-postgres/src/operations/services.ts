import {
  cursorError,
  pageOf,
  type Revision,
  revisionSchema,
  type Service,
  type Store,
  serviceSchema,
} from '@cygni/core';
import type { Database } from '../database.ts';
import { textPositionOf } from '../pages.ts';
import { parseRow, part, type Row } from '../rows.ts';
import { statement } from '../statement.ts';

const serviceFields = {
  tenantId: 'tenant_id',
  name: 'name',
  stableRevision: 'stable_revision',
  previousRevision: 'previous_revision',
  url: 'url',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
} as const;

const revisionFields = {
  tenantId: 'tenant_id',
  service: 'service',
  number: 'number',
  repository: 'repository',
  digest: 'digest',
  buildId: 'build_id',
  environment: 'environment',
  arguments: 'arguments',
  healthCheck: 'health_check',
  healthyAt: 'healthy_at',
  createdAt: 'created_at',
} as const;

/** The columns of `table` under the model's names, with a prefix where other tables are selected beside it. */
function select(fields: Readonly<Record<string, string>>, table: string, prefix = ''): string {
  return Object.entries(fields)
    .map(([field, column]) => `${table}.${column} AS "${prefix}${field}"`)
    .join(', ');
}
export const serviceColumns = (table: string, prefix?: string) =>
  select(serviceFields, table, prefix);
export const revisionColumns = (table: string, prefix?: string) =>
  select(revisionFields, table, prefix);

const readService = statement(
  'service-read',
  `SELECT ${serviceColumns('service')} FROM cygni.services AS service WHERE tenant_id = $1 AND name = $2`,
);

const listServices = statement(
  'service-list',
  `SELECT ${serviceColumns('service')}
     FROM cygni.services AS service
    WHERE tenant_id = $1 AND (created_at, name) < ($2::timestamptz, $3)
    ORDER BY created_at DESC, name DESC
    LIMIT $4`,
);

const readRevision = statement(
  'revision-read',
  `SELECT ${revisionColumns('revision')}
     FROM cygni.revisions AS revision
    WHERE tenant_id = $1 AND service = $2 AND number = $3`,
);

/** Their numbers are in the order of their making. */
const listRevisions = statement(
  'revision-list',
  `SELECT ${revisionColumns('revision')}
     FROM cygni.revisions AS revision
    WHERE tenant_id = $1 AND service = $2 AND number < $3
    ORDER BY number DESC
    LIMIT $4`,
);

/** OFFSET keeps the planner from a join of all services with all deployments, which it takes to be small. */
const listSettled = statement(
  'service-list-settled',
  `SELECT ${serviceColumns('service', 'service.')}, ${revisionColumns('stable', 'stable.')}
     FROM cygni.services AS service
     JOIN cygni.revisions AS stable
       ON stable.tenant_id = service.tenant_id AND stable.service = service.name
      AND stable.number = service.stable_revision
    WHERE service.stable_revision IS NOT NULL
      AND (service.created_at, service.tenant_id, service.name) < ($1::timestamptz, $2, $3)
      AND NOT EXISTS (SELECT FROM cygni.deployments AS deployment
                       WHERE deployment.tenant_id = service.tenant_id AND deployment.service = service.name
                         AND deployment.state = 'RUNNING' OFFSET 0)
    ORDER BY service.created_at DESC, service.tenant_id DESC, service.name DESC
    LIMIT $4`,
);

const setUrl = statement(
  'service-set-url',
  `WITH service AS (
    UPDATE cygni.services SET url = $3, updated_at = now()
     WHERE tenant_id = $1 AND name = $2 AND url IS DISTINCT FROM $3
    RETURNING tenant_id, name, url
  )
  INSERT INTO cygni.events (tenant_id, type, subject, data)
  SELECT tenant_id, 'service.url_changed', name, json_build_object('url', url) FROM service`,
);

const highestNumber = 2_147_483_647;

export function serviceOperations(
  database: Database,
): Pick<
  Store,
  | 'getService'
  | 'listServices'
  | 'getRevision'
  | 'listRevisions'
  | 'listSettledServices'
  | 'setServiceUrl'
> {
  return {
    async getService({ tenantId, service }, call) {
      const [row] = await database.run(readService, [tenantId, service], call);
      return row ? serviceOf(row) : null;
    },

    async listServices(tenantId, page, call) {
      const { createdAt, id } = textPositionOf(page);
      const rows = await database.run(
        listServices,
        [tenantId, createdAt, id, page.limit + 1],
        call,
      );
      return pageOf(rows.map(serviceOf), page, (each) => ({
        createdAt: each.createdAt,
        id: each.name,
      }));
    },

    async getRevision({ tenantId, service }, number, call) {
      const [row] = await database.run(readRevision, [tenantId, service, number], call);
      return row ? revisionOf(row) : null;
    },

    async listRevisions({ tenantId, service }, page, call) {
      const before = page.cursor === null ? highestNumber : Number(textPositionOf(page).id);
      if (!Number.isInteger(before) || before < 1 || before > highestNumber) throw cursorError();
      const values = [tenantId, service, before, page.limit + 1];
      const rows = await database.run(listRevisions, values, call);
      return pageOf(rows.map(revisionOf), page, ({ createdAt, number }) => ({
        createdAt,
        id: String(number),
      }));
    },

    async listSettledServices(page, call) {
      const { createdAt, id } = textPositionOf(page);
      const [tenantId = '', name = ''] = id.split('/');
      const rows = await database.run(
        listSettled,
        [createdAt, tenantId, name, page.limit + 1],
        call,
      );
      const items = rows.map((row) => ({
        service: serviceOf(part(row, 'service')),
        stable: revisionOf(part(row, 'stable')),
      }));
      return pageOf(items, page, ({ service }) => ({
        createdAt: service.createdAt,
        id: `${service.tenantId}/${service.name}`,
      }));
    },

    async setServiceUrl({ tenantId, service }, url, call) {
      await database.run(setUrl, [tenantId, service, url], call);
    },
  };
}

export function serviceOf(row: Row): Service {
  return parseRow(serviceSchema, row);
}

export function revisionOf(row: Row): Revision {
  return parseRow(revisionSchema, row);
}
