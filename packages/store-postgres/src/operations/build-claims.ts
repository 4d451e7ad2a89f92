import { idSchema, type RunName, type Store, sourceSchema } from '@cygni/core';
import { z } from 'zod';
import type { Database } from '../database.ts';
import { own, parseRow, part } from '../rows.ts';
import { statement } from '../statement.ts';
import { buildColumns, buildOf } from './builds.ts';
import { ending } from './ending.ts';

const attemptsSchema = z.strictObject({ attemptsLeft: z.int().nonnegative() });

const runSchema = z.strictObject({
  attempt: z.int().positive(),
  ageSeconds: z.number().nonnegative(),
  logPosition: z.int().nonnegative(),
});

const runNameSchema = z.strictObject({ buildId: idSchema, attempt: z.int() });

/** $1 build, $2 seconds. */
const claim = statement(
  'build-claim',
  `WITH build AS (
    UPDATE cygni.builds
       SET state = 'RUNNING', attempt = attempt + 1, counted_attempts = counted_attempts + 1,
           lease_until = now() + $2::float8 * interval '1 second', started_at = coalesce(started_at, now()),
           run = coalesce(run, attempt + 1),
           run_began_at = CASE WHEN run IS NULL THEN now() ELSE run_began_at END
     WHERE id = $1
       AND ((state = 'QUEUED' AND dispatched) OR (state = 'RUNNING' AND lease_until < now()))
       AND counted_attempts < maximum_attempts
    RETURNING *
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'build.started', id, json_build_object('attempt', attempt) FROM build
  )
  SELECT ${buildColumns},
         source.id AS "source.id", source.tenant_id AS "source.tenantId", source.key AS "source.key",
         source.size_bytes AS "source.sizeBytes", source.sha256 AS "source.sha256",
         source.git AS "source.git", source.created_at AS "source.createdAt",
         build.maximum_attempts - build.counted_attempts AS "claim.attemptsLeft",
         build.run AS "run.attempt",
         greatest(0, extract(epoch FROM now() - build.run_began_at)::float8) AS "run.ageSeconds",
         (SELECT coalesce(max(position + line_count - 1), 0)
            FROM cygni.log_chunks
           WHERE build_id = build.id AND attempt >= build.run) AS "run.logPosition"
    FROM build JOIN cygni.sources AS source ON source.tenant_id = build.tenant_id AND source.id = build.source_id`,
);

/** $1 build, $2 attempt, $3 seconds. */
const heartbeat = statement(
  'build-heartbeat',
  `UPDATE cygni.builds
      SET lease_until = now() + $3::float8 * interval '1 second'
    WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
   RETURNING cancel_requested AS "cancelRequested"`,
);

/** $1 build, $2 attempt, $3 state, $4 image, $5 failure, $6 charge, $7 reason, $8 thresholds, $9 cache. */
const finish = statement(
  'build-finish',
  `WITH ended AS (
    UPDATE cygni.builds
       SET state = $3, image = $4, failure = $5, cache = $9, cost = least($6::bigint, estimate),
           lease_until = NULL, finished_at = now()
     WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
    RETURNING tenant_id, id, state, cost, $7::text AS reason
  ),
  ${ending('build', { alertAt: '$8' })}
  SELECT id FROM ended`,
);

/** $1 to $5 as above. */
const endedAlike = statement(
  'build-ended-alike',
  `SELECT id FROM cygni.builds
    WHERE id = $1 AND attempt = $2 AND state = $3
      AND image::text IS NOT DISTINCT FROM $4 AND failure::text IS NOT DISTINCT FROM $5`,
);

/** $1 build, $2 attempt, $3 whether the attempt counts. One that is to be cancelled ends here: nobody would take it. */
const release = statement(
  'build-release',
  `WITH build AS (
    UPDATE cygni.builds
       SET state = CASE WHEN cancel_requested THEN 'CANCELLED' ELSE 'QUEUED' END,
           cost = CASE WHEN cancel_requested THEN 0 END,
           finished_at = CASE WHEN cancel_requested THEN now() END,
           counted_attempts = counted_attempts - CASE WHEN $3::boolean THEN 0 ELSE 1 END,
           lease_until = NULL, enqueued_at = now(), dispatched = false,
           run = CASE WHEN $3 THEN NULL ELSE run END
     WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
    RETURNING *
  ),
  ended AS (
    SELECT tenant_id, id, state, cost, 'cancelled' AS reason FROM build WHERE state = 'CANCELLED'
  ),
  released AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'build.released', id, json_build_object('attempt', attempt, 'counted', $3::boolean)
      FROM build WHERE state = 'QUEUED'
  ),
  ${ending('build')}
  SELECT id FROM build`,
);

/** $1 builds, $2 attempts. */
const findOrphanedRuns = statement(
  'build-find-orphaned-runs',
  `SELECT asked.build_id AS "buildId", asked.attempt
     FROM unnest($1::uuid[], $2::integer[]) AS asked (build_id, attempt)
    WHERE NOT EXISTS (SELECT FROM cygni.builds
                       WHERE id = asked.build_id AND run = asked.attempt AND state IN ('QUEUED', 'RUNNING'))`,
);

export function buildClaimOperations(
  database: Database,
): Pick<
  Store,
  'claimBuild' | 'heartbeatBuild' | 'finishBuild' | 'releaseBuild' | 'findOrphanedRuns'
> {
  return {
    async claimBuild(id, leaseSeconds, call) {
      if (!idSchema.safeParse(id).success) return null;
      const [row] = await database.run(claim, [id, leaseSeconds], call);
      if (!row) return null;
      return {
        build: buildOf(own(row)),
        source: parseRow(sourceSchema, part(row, 'source')),
        ...parseRow(attemptsSchema, part(row, 'claim')),
        run: parseRow(runSchema, part(row, 'run')),
      };
    },
    async heartbeatBuild({ id, attempt }, leaseSeconds, call) {
      const [row] = await database.run(heartbeat, [id, attempt, leaseSeconds], call);
      return row ? { cancelRequested: row.cancelRequested === true } : null;
    },
    async finishBuild(
      { id, attempt },
      { state, image, cache = null, failure, charge, alertAt = [] },
      call,
    ) {
      const documents = [image, failure].map((each) => each && JSON.stringify(each));
      const reason = failure?.reason ?? null;
      const end = [id, attempt, state, ...documents];
      const values = [...end, charge, reason, alertAt, cache && JSON.stringify(cache)];
      const ended = await database.run(finish, values, call);
      return ended.length > 0 || (await database.run(endedAlike, end, call)).length > 0;
    },
    async findOrphanedRuns(runs, call) {
      const isKnowable = ({ buildId }: RunName) => idSchema.safeParse(buildId).success;
      const asked = runs.filter(isKnowable);
      const values = [asked.map(({ buildId }) => buildId), asked.map(({ attempt }) => attempt)];
      const rows = await database.run(findOrphanedRuns, values, call);
      return [
        ...runs.filter((run) => !isKnowable(run)),
        ...rows.map((row) => parseRow(runNameSchema, row)),
      ];
    },
    async releaseBuild({ id, attempt }, { countAttempt }, call) {
      return (await database.run(release, [id, attempt, countAttempt], call)).length > 0;
    },
  };
}
