import type { BuildFailure, Call, MessageKind, Store } from '@cygni/core';
import type { Database } from '../database.ts';
import { type Statement, statement } from '../statement.ts';
import { lockServiceOf, wakeNext } from './deployment-claims.ts';
import { ending } from './ending.ts';

const tables: Readonly<Record<MessageKind, string>> = {
  build: 'cygni.builds',
  deployment: 'cygni.deployments',
};

/** Never tried again: the attempts are used up, or its end was asked for and nobody works on it. */
const isOver = `
  (state = 'QUEUED' OR (state = 'RUNNING' AND lease_until < now()))
  AND state IN ('QUEUED', 'RUNNING') AND (counted_attempts >= maximum_attempts OR cancel_requested)`;

function requeue(kind: MessageKind, which: 'queued' | 'expired', due: string): Statement {
  // The note that an acceptance leaves of a build is no message.
  const isDelivered = kind === 'build' ? ' AND waiting.ready' : '';
  return statement(
    `${kind}-requeue-${which}`,
    `WITH due AS (
      SELECT id FROM ${tables[kind]} WHERE ${due} LIMIT $2 FOR UPDATE SKIP LOCKED
    ),
    marked AS (
      UPDATE ${tables[kind]} AS work SET enqueued_at = now() FROM due WHERE work.id = due.id
      RETURNING work.id
    )
    INSERT INTO cygni.outbox (kind, work_id, ready)
    SELECT '${kind}', id, true FROM marked
     WHERE NOT EXISTS (SELECT FROM cygni.outbox AS waiting
                        WHERE waiting.work_id = marked.id${isDelivered})
    RETURNING id`,
  );
}

/** $1 seconds since the last message, $2 limit. */
const requeueQueued = (kind: MessageKind) =>
  requeue(
    kind,
    'queued',
    `state = 'QUEUED' AND ${kind === 'build' ? 'dispatched AND ' : ''}counted_attempts < maximum_attempts
     AND enqueued_at < now() - $1::float8 * interval '1 second'`,
  );

/** The same. At once when the lease has ended, and then again as if it were queued. */
const requeueExpired = (kind: MessageKind) =>
  requeue(
    kind,
    'expired',
    `state = 'RUNNING' AND lease_until < now() AND counted_attempts < maximum_attempts
     AND (enqueued_at < lease_until OR enqueued_at < now() - $1::float8 * interval '1 second')`,
  );

const findOver = (kind: MessageKind) =>
  statement(`${kind}-find-over`, `SELECT id FROM ${tables[kind]} WHERE ${isOver} LIMIT $1`);

const endingState = `CASE WHEN cancel_requested THEN 'CANCELLED' ELSE 'FAILED' END`;
const endingReason = `CASE state WHEN 'CANCELLED' THEN 'cancelled' ELSE 'platform_error' END AS reason`;

/** $1 build, $2 the failure. */
const endBuild = statement(
  'build-end-over',
  `WITH ended AS (
    UPDATE cygni.builds
       SET state = ${endingState}, failure = CASE WHEN NOT cancel_requested THEN $2::json END,
           cost = 0, lease_until = NULL, finished_at = now()
     WHERE id = $1 AND ${isOver}
    RETURNING tenant_id, id, state, cost, ${endingReason}
  ),
  ${ending('build')}
  SELECT state FROM ended`,
);

const endDeployment = statement(
  'deployment-end-over',
  `WITH ended AS (
    UPDATE cygni.deployments
       SET state = ${endingState}, phase = 'DONE', cost = 0, lease_until = NULL, finished_at = now()
     WHERE id = $1 AND ${isOver}
    RETURNING tenant_id, id, service, state, cost, ${endingReason}
  ),
  ${ending('deployment')}
  SELECT tenant_id AS "tenantId", service, state FROM ended`,
);

/** $1 limit. */
const forgetKeys = statement(
  'idempotency-forget',
  `WITH expired AS (
    SELECT tenant_id, route, key FROM cygni.idempotency
     WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
  )
  DELETE FROM cygni.idempotency AS known USING expired
   WHERE known.tenant_id = expired.tenant_id AND known.route = expired.route AND known.key = expired.key
  RETURNING known.key`,
);

const requeueing = (['build', 'deployment'] as const).flatMap((kind) => [
  requeueQueued(kind),
  requeueExpired(kind),
]);
const findOverBuilds = findOver('build');
const findOverDeployments = findOver('deployment');

const deadLetter: BuildFailure = {
  reason: 'platform_error',
  message: 'every attempt was lost by the platform',
  platformFault: true,
};

export function sweepOperations(database: Database): Pick<Store, 'sweep'> {
  async function endBuilds(limit: number, call: Call): Promise<number> {
    let failed = 0;
    for (const { id } of await database.run(findOverBuilds, [limit], call)) {
      const [ended] = await database.run(endBuild, [id, JSON.stringify(deadLetter)], call);
      if (ended?.state === 'FAILED') failed += 1;
    }
    return failed;
  }

  async function endDeployments(limit: number, call: Call): Promise<number> {
    let failed = 0;
    for (const { id } of await database.run(findOverDeployments, [limit], call)) {
      const state = await database.transaction(async (session) => {
        await lockServiceOf(session, String(id));
        const [ended] = await session.run(endDeployment, [id]);
        if (ended) await wakeNext(session, ended);
        return ended?.state;
      }, call);
      if (state === 'FAILED') failed += 1;
    }
    return failed;
  }

  return {
    async sweep({ queuedSeconds, limit }, call) {
      const deadLettered = (await endBuilds(limit, call)) + (await endDeployments(limit, call));
      let requeued = 0;
      for (const statementOfKind of requeueing) {
        const rows = await database.run(statementOfKind, [queuedSeconds, limit], call);
        requeued += rows.length;
      }
      const expired = (await database.run(forgetKeys, [limit], call)).length;
      return { requeued, deadLettered, expired };
    },
  };
}
