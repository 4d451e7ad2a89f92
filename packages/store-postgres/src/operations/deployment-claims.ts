import { type DeploymentClaim, idSchema, type Store } from '@cygni/core';
import { z } from 'zod';
import type { Session } from '../checkout.ts';
import type { Database } from '../database.ts';
import { violates } from '../map-error.ts';
import { own, parseRow, part, type Row } from '../rows.ts';
import { statement } from '../statement.ts';
import { deploymentColumns, deploymentOf } from './deployments.ts';
import { ending } from './ending.ts';
import { revisionColumns, revisionOf, serviceColumns, serviceOf } from './services.ts';

const claimSchema = z.strictObject({ traceparent: z.string().nullable() });

/**
 * $1 deployment, $2 seconds. A service's deployments run one at a time and in their order: one that was given back,
 * or whose worker died, must not move the traffic after a newer one has.
 */
const claim = statement(
  'deployment-claim',
  `WITH deployment AS (
    UPDATE cygni.deployments AS mine
       SET state = 'RUNNING', attempt = attempt + 1, counted_attempts = counted_attempts + 1,
           lease_until = now() + $2::float8 * interval '1 second', started_at = coalesce(started_at, now())
     WHERE id = $1
       AND (state = 'QUEUED' OR (state = 'RUNNING' AND lease_until < now()))
       AND counted_attempts < maximum_attempts
       AND NOT EXISTS (SELECT FROM cygni.deployments AS earlier
                        WHERE earlier.tenant_id = mine.tenant_id AND earlier.service = mine.service
                          AND earlier.position < mine.position AND earlier.state IN ('QUEUED', 'RUNNING'))
    RETURNING *
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'deployment.started', id, json_build_object('attempt', attempt) FROM deployment
  )
  SELECT ${deploymentColumns}, ${serviceColumns('service', 'service.')},
         ${revisionColumns('revision', 'revision.')}, ${revisionColumns('stable', 'stable.')},
         deployment.traceparent AS "claim.traceparent"
    FROM deployment
    JOIN cygni.services AS service
      ON service.tenant_id = deployment.tenant_id AND service.name = deployment.service
    JOIN cygni.revisions AS revision
      ON revision.tenant_id = deployment.tenant_id AND revision.service = deployment.service
     AND revision.number = deployment.revision
    LEFT JOIN cygni.revisions AS stable
      ON stable.tenant_id = service.tenant_id AND stable.service = service.name
     AND stable.number = service.stable_revision`,
);

/** $1 deployment, $2 attempt, $3 seconds. */
const heartbeat = statement(
  'deployment-heartbeat',
  `UPDATE cygni.deployments
      SET lease_until = now() + $3::float8 * interval '1 second'
    WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
   RETURNING cancel_requested AS "cancelRequested"`,
);

/** $1 deployment, $2 attempt, $3 phase. */
const advance = statement(
  'deployment-advance',
  `WITH advanced AS (
    UPDATE cygni.deployments SET phase = $3
     WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
    RETURNING tenant_id, id, phase, attempt
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'deployment.advanced', id, json_build_object('phase', phase, 'attempt', attempt)
      FROM advanced
  )
  SELECT id FROM advanced`,
);

/** The service is locked before its deployments, here as when one is accepted. */
const lockService = statement(
  'deployment-lock-service',
  `SELECT service.name
     FROM cygni.deployments AS deployment
     JOIN cygni.services AS service
       ON service.tenant_id = deployment.tenant_id AND service.name = deployment.service
    WHERE deployment.id = $1
      FOR NO KEY UPDATE OF service`,
);

/** $1 deployment, $2 attempt, $3 state, $4 evidence, $5 charge, $6 reason, $7 thresholds. */
const finish = statement(
  'deployment-finish',
  `WITH ended AS (
    UPDATE cygni.deployments
       SET state = $3, evidence = $4, cost = least($5::bigint, estimate), phase = 'DONE',
           lease_until = NULL, finished_at = now()
     WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
    RETURNING tenant_id, id, service, revision, kind, state, cost, $6::text AS reason
  ),
  ${ending('deployment', { alertAt: '$7' })}
  SELECT tenant_id AS "tenantId", service, revision, kind FROM ended`,
);

/** $1 to $4 as above. */
const endedAlike = statement(
  'deployment-ended-alike',
  `SELECT id FROM cygni.deployments
    WHERE id = $1 AND attempt = $2 AND state = $3 AND evidence::text IS NOT DISTINCT FROM $4`,
);

/** $1 tenant, $2 service, $3 revision, $4 address or null, $5 whether by a rollback. */
const makeStable = statement(
  'service-make-stable',
  `WITH healthy AS (
    UPDATE cygni.revisions SET healthy_at = coalesce(healthy_at, now())
     WHERE tenant_id = $1 AND service = $2 AND number = $3
  ),
  replaced AS (
    UPDATE cygni.revisions AS revision SET replaced_at = now()
      FROM cygni.services AS service
     WHERE service.tenant_id = $1 AND service.name = $2 AND service.stable_revision <> $3
       AND revision.tenant_id = $1 AND revision.service = $2 AND revision.number = service.stable_revision
  ),
  before AS (
    SELECT stable_revision, url FROM cygni.services WHERE tenant_id = $1 AND name = $2
  ),
  service AS (
    UPDATE cygni.services
       SET previous_revision = CASE
             WHEN stable_revision = $3 THEN previous_revision
             WHEN $5::boolean THEN (
               SELECT max(number) FROM cygni.revisions
                WHERE tenant_id = $1 AND service = $2 AND number < $3 AND healthy_at IS NOT NULL)
             ELSE stable_revision END,
           stable_revision = $3, url = coalesce($4, url), updated_at = now()
     WHERE tenant_id = $1 AND name = $2
    RETURNING tenant_id, name, stable_revision, previous_revision, url
  )
  INSERT INTO cygni.events (tenant_id, type, subject, data)
  SELECT tenant_id, 'service.stable_changed', name,
         json_build_object('stableRevision', service.stable_revision, 'previousRevision', previous_revision)
    FROM service CROSS JOIN before
   WHERE before.stable_revision IS DISTINCT FROM service.stable_revision
  UNION ALL
  SELECT tenant_id, 'service.url_changed', name, json_build_object('url', service.url)
    FROM service CROSS JOIN before
   WHERE before.url IS DISTINCT FROM service.url`,
);

const keepUrl = statement(
  'service-keep-url',
  `WITH before AS (
    SELECT url FROM cygni.services WHERE tenant_id = $1 AND name = $2
  ),
  service AS (
    UPDATE cygni.services SET url = $3, updated_at = now() WHERE tenant_id = $1 AND name = $2
    RETURNING tenant_id, name, url
  )
  INSERT INTO cygni.events (tenant_id, type, subject, data)
  SELECT tenant_id, 'service.url_changed', name, json_build_object('url', service.url)
    FROM service CROSS JOIN before WHERE before.url IS DISTINCT FROM service.url`,
);

/** Wakes the service's next deployment up. */
const enqueueNext = statement(
  'deployment-enqueue-next',
  `WITH next AS (
    UPDATE cygni.deployments SET enqueued_at = now()
     WHERE id = (SELECT id FROM cygni.deployments
                  WHERE tenant_id = $1 AND service = $2 AND state = 'QUEUED'
                  ORDER BY position LIMIT 1)
    RETURNING id
  )
  INSERT INTO cygni.outbox (kind, work_id) SELECT 'deployment', id FROM next`,
);

/** $1 deployment, $2 attempt, $3 whether the attempt counts. */
const release = statement(
  'deployment-release',
  `WITH released AS (
    UPDATE cygni.deployments
       SET state = 'QUEUED', lease_until = NULL, enqueued_at = now(),
           counted_attempts = counted_attempts - CASE WHEN $3::boolean THEN 0 ELSE 1 END
     WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
    RETURNING tenant_id, id, attempt
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'deployment.released', id, json_build_object('attempt', attempt, 'counted', $3::boolean)
      FROM released
  ),
  message AS (
    INSERT INTO cygni.outbox (kind, work_id) SELECT 'deployment', id FROM released
  )
  SELECT id FROM released`,
);

/** In the transaction that ended a deployment of the service. */
export async function wakeNext({ run }: Session, { tenantId, service }: Row): Promise<void> {
  await run(enqueueNext, [tenantId, service]);
}

/** @returns whether there is such a deployment */
export async function lockServiceOf({ run }: Session, deploymentId: string): Promise<boolean> {
  return (await run(lockService, [deploymentId])).length > 0;
}

export function deploymentClaimOperations(
  database: Database,
): Pick<
  Store,
  | 'claimDeployment'
  | 'heartbeatDeployment'
  | 'advanceDeployment'
  | 'finishDeployment'
  | 'releaseDeployment'
> {
  return {
    async claimDeployment(id, leaseSeconds, call) {
      if (!idSchema.safeParse(id).success) return null;
      const [row] = await database.run(claim, [id, leaseSeconds], call, (error) =>
        violates(error, 'deployments_one_at_a_time') ? [] : undefined,
      );
      return row ? claimOf(row) : null;
    },

    async heartbeatDeployment({ id, attempt }, leaseSeconds, call) {
      const [row] = await database.run(heartbeat, [id, attempt, leaseSeconds], call);
      return row ? { cancelRequested: row.cancelRequested === true } : null;
    },

    async advanceDeployment({ id, attempt }, phase, call) {
      return (await database.run(advance, [id, attempt, phase], call)).length > 0;
    },

    finishDeployment({ id, attempt }, { state, evidence, charge, alertAt = [], url }, call) {
      const document = evidence && JSON.stringify(evidence);
      const reason = evidence?.rule ?? null;
      return database.transaction(async (session) => {
        if (!(await lockServiceOf(session, id))) return false;
        const end = [id, attempt, state, document];
        const [ended] = await session.run(finish, [...end, charge, reason, alertAt]);
        if (!ended) return (await session.run(endedAlike, end)).length > 0;
        const service = [ended.tenantId, ended.service];
        if (state === 'SUCCEEDED') {
          const byRollback = ended.kind === 'rollback';
          await session.run(makeStable, [...service, ended.revision, url, byRollback]);
        } else if (url !== null) {
          await session.run(keepUrl, [...service, url]);
        }
        await wakeNext(session, ended);
        return true;
      }, call);
    },

    async releaseDeployment({ id, attempt }, { countAttempt }, call) {
      return (await database.run(release, [id, attempt, countAttempt], call)).length > 0;
    },
  };
}

function claimOf(row: Row): DeploymentClaim {
  const stable = part(row, 'stable');
  return {
    deployment: deploymentOf(own(row)),
    service: serviceOf(part(row, 'service')),
    revision: revisionOf(part(row, 'revision')),
    stable: stable.number === null ? null : revisionOf(stable),
    ...parseRow(claimSchema, part(row, 'claim')),
  };
}
