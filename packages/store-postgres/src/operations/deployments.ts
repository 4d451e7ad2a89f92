import {
  type Accepted,
  type Call,
  CygniError,
  type Deployment,
  deploymentSchema,
  type IdempotencyKey,
  idSchema,
  type NewDeployment,
  pageOf,
  preconditionError,
  type Reservation,
  type Store,
} from '@cygni/core';
import type { Session } from '../checkout.ts';
import type { Database } from '../database.ts';
import { violates } from '../map-error.ts';
import { positionOf } from '../pages.ts';
import { parseRow, type Row } from '../rows.ts';
import { statement } from '../statement.ts';
import { budgetExceeded, ensureAccount, readAccount, reserve } from './accounts.ts';
import { ending } from './ending.ts';
import { eventOf } from './events.ts';
import { takeKey } from './idempotency.ts';

/** Of `deployment`, under the model's names. */
export const deploymentColumns = `
  deployment.id, deployment.tenant_id AS "tenantId", deployment.service, deployment.revision, deployment.kind,
  deployment.state, deployment.phase, deployment.attempt, deployment.rollout, deployment.message, deployment.evidence,
  deployment.superseded_by AS "supersededBy", deployment.currency, deployment.estimate, deployment.cost,
  deployment.created_at AS "createdAt", deployment.started_at AS "startedAt", deployment.finished_at AS "finishedAt"`;

const read = statement(
  'deployment-read',
  `SELECT ${deploymentColumns} FROM cygni.deployments AS deployment WHERE tenant_id = $1 AND id = $2`,
);

const list = statement(
  'deployment-list',
  `SELECT ${deploymentColumns}
     FROM cygni.deployments AS deployment
    WHERE tenant_id = $1 AND (created_at, id) < ($2::timestamptz, $3::uuid)
    ORDER BY created_at DESC, id DESC
    LIMIT $4`,
);

const listOfService = statement(
  'deployment-list-of-service',
  `SELECT ${deploymentColumns}
     FROM cygni.deployments AS deployment
    WHERE tenant_id = $1 AND (created_at, id) < ($2::timestamptz, $3::uuid) AND service = $5
    ORDER BY created_at DESC, id DESC
    LIMIT $4`,
);

/** Makes the service if it is missing, and locks it, which puts its deployments in order. */
const nextRevision = statement(
  'service-next-revision',
  `INSERT INTO cygni.services AS service (tenant_id, name, last_revision, last_position)
   VALUES ($1, $2, 1, 1)
   ON CONFLICT (tenant_id, name) DO UPDATE
      SET last_revision = service.last_revision + 1, last_position = service.last_position + 1
   RETURNING last_revision AS revision, last_position AS position`,
);

const recordService = statement('service-event', eventOf({ type: 'service.created' }));

const nextPosition = statement(
  'service-next-position',
  `UPDATE cygni.services SET last_position = last_position + 1
    WHERE tenant_id = $1 AND name = $2
   RETURNING stable_revision AS stable, previous_revision AS revision, last_position AS position`,
);

const addRevision = statement(
  'revision-add',
  `INSERT INTO cygni.revisions
     (tenant_id, service, number, repository, digest, build_id, environment, arguments, health_check)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
);

const revisionExists = statement(
  'revision-exists',
  'SELECT number FROM cygni.revisions WHERE tenant_id = $1 AND service = $2 AND number = $3',
);

const add = statement(
  'deployment-add',
  `WITH deployment AS (
    INSERT INTO cygni.deployments (
      tenant_id, id, service, position, revision, kind, rollout, message, currency, estimate, maximum_attempts,
      traceparent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    RETURNING *
  ),
  message AS (
    INSERT INTO cygni.outbox (kind, work_id) SELECT 'deployment', id FROM deployment
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'deployment.accepted', id,
           json_build_object('service', service, 'revision', revision, 'kind', kind, 'estimate', estimate)
      FROM deployment
  )
  SELECT ${deploymentColumns} FROM deployment`,
);

/** $1 tenant, $2 service, $3 the deployment that takes the place of the others. */
const supersede = statement(
  'deployment-supersede',
  `WITH ended AS (
    UPDATE cygni.deployments
       SET state = 'SUPERSEDED', superseded_by = $3, phase = 'DONE', cost = 0, finished_at = now()
     WHERE tenant_id = $1 AND service = $2 AND id <> $3 AND state = 'QUEUED'
    RETURNING tenant_id, id, state, cost, NULL::text AS reason
  ),
  ${ending('deployment')}
  SELECT id FROM ended`,
);

const hold = statement(
  'deployment-hold',
  `WITH hold AS (
    INSERT INTO cygni.holds (work_id, kind, tenant_id, currency, period_start, amount)
    VALUES ($1, 'deployment', $2, $3, $4, $5)
    RETURNING *
  )
  INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
  SELECT tenant_id, currency, period_start, work_id, 'hold', amount FROM hold`,
);

export function deploymentOperations(
  database: Database,
  { maximumAttempts }: { readonly maximumAttempts: number },
): Pick<Store, 'acceptDeployment' | 'getDeployment' | 'listDeployments'> {
  async function getDeployment(
    tenantId: string,
    id: string,
    call: Call,
  ): Promise<Deployment | null> {
    if (!idSchema.safeParse(id).success) return null;
    const [row] = await database.run(read, [tenantId, id], call);
    return row ? deploymentOf(row) : null;
  }

  /** The number that is deployed, and the place among the service's deployments. */
  async function place(
    { run }: Session,
    { tenantId, service, target }: NewDeployment,
  ): Promise<{ readonly revision: number; readonly position: number }> {
    if ('rollbackTo' in target) {
      const [row] = await run(nextPosition, [tenantId, service]);
      if (!row) throw new CygniError('not_found', `no service ${service}`);
      const { expected } = target;
      if (
        expected &&
        (expected.stableRevision !== row.stable || expected.previousRevision !== row.revision)
      ) {
        throw preconditionError();
      }
      const revision = target.rollbackTo ?? row.revision;
      if (revision === null) {
        throw new CygniError('conflict', `service ${service} has no revision to roll back to`);
      }
      const [existing] = await run(revisionExists, [tenantId, service, revision]);
      if (!existing) throw new CygniError('not_found', `no revision ${revision} of ${service}`);
      return { revision: Number(revision), position: Number(row.position) };
    }
    const [row] = await run(nextRevision, [tenantId, service]);
    const revision = Number(row?.revision);
    if (row?.position === 1) await run(recordService, [tenantId, service, '{}']);
    await run(addRevision, [
      tenantId,
      service,
      revision,
      target.repository,
      target.digest,
      target.buildId,
      JSON.stringify(target.environment),
      target.arguments && JSON.stringify(target.arguments),
      JSON.stringify(target.healthCheck),
    ]);
    return { revision, position: Number(row?.position) };
  }

  async function reserveFor(
    session: Session,
    { id, tenantId }: NewDeployment,
    reservation: Reservation,
  ): Promise<void> {
    const { amount, currency, limit } = reservation;
    const values = [tenantId, currency, limit.periodStart, limit.cap, amount];
    let [account] = await session.run(reserve, values);
    if (!account) {
      await ensureAccount(session, tenantId, currency, limit);
      [account] = await session.run(reserve, values);
    }
    if (!account) {
      const found = await readAccount(session, tenantId, currency, limit);
      const refusal = found && budgetExceeded(found, reservation);
      throw refusal ?? new CygniError('unavailable', 'the account changes too fast');
    }
    await session.run(hold, [id, tenantId, currency, limit.periodStart, amount]);
  }

  async function accept(
    deployment: NewDeployment,
    reservation: Reservation,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Deployment | { readonly replayOf: string }> {
    const { id, tenantId, service, target } = deployment;
    const isRollback = 'rollbackTo' in target;
    return database.transaction(async (session) => {
      const made = idempotency && (await takeKey(session.run, tenantId, idempotency, id));
      if (made) return { replayOf: made };
      const { revision, position } = await place(session, deployment);
      const [row] = await session.run(add, [
        tenantId,
        id,
        service,
        position,
        revision,
        isRollback ? 'rollback' : 'deploy',
        JSON.stringify(deployment.rollout),
        deployment.message,
        reservation.currency,
        isRollback ? 0 : reservation.amount,
        maximumAttempts,
        deployment.traceparent ?? null,
      ]);
      if (!row) throw new CygniError('internal', 'a deployment was not stored');
      await session.run(supersede, [tenantId, service, id]);
      if (!isRollback) await reserveFor(session, deployment, reservation);
      return deploymentOf(row);
    }, call);
  }

  return {
    async acceptDeployment(deployment, reservation, idempotency, call) {
      const { tenantId, id } = deployment;
      const replay = async (made: string): Promise<Accepted<Deployment>> => {
        const resource = await getDeployment(tenantId, made, call);
        if (!resource) throw new CygniError('not_found', 'what this request made is gone');
        return { resource, replayed: true };
      };
      try {
        const accepted = await accept(deployment, reservation, idempotency, call);
        if ('replayOf' in accepted) return await replay(accepted.replayOf);
        return { resource: accepted, replayed: false };
      } catch (error) {
        // A retry of the same call, whose first answer got lost.
        const { cause } = error instanceof Error ? error : {};
        if (violates(cause, 'deployments_pkey')) return replay(id);
        throw error;
      }
    },

    getDeployment,

    async listDeployments(tenantId, { service }, page, call) {
      const values = [tenantId, ...positionOf(page), page.limit + 1];
      const rows =
        service === null
          ? await database.run(list, values, call)
          : await database.run(listOfService, [...values, service], call);
      return pageOf(rows.map(deploymentOf), page, ({ createdAt, id }) => ({ createdAt, id }));
    },
  };
}

export function deploymentOf(row: Row): Deployment {
  return parseRow(deploymentSchema, row);
}
