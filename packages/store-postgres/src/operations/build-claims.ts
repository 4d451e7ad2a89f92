import { type BuildClaim, idSchema, type RunName, type Store } from '@cygni/core';
import { z } from 'zod';
import { createBatches } from '../batches.ts';
import type { Database } from '../database.ts';
import { sqlState } from '../map-error.ts';
import { parseRow } from '../rows.ts';
import { type Statement, statement } from '../statement.ts';
import {
  type Claimant,
  claimsOf,
  claimUnlocked,
  claimValues,
  claimWaiting,
} from './claim-statement.ts';
import { ending } from './ending.ts';
import {
  type End,
  endOf,
  finishedOf,
  finishUnlocked,
  finishValues,
  finishWaiting,
} from './finish-statement.ts';

const runNameSchema = z.strictObject({ buildId: idSchema, attempt: z.int() });

/** $1 build, $2 attempt, $3 seconds. */
const heartbeat = statement(
  'build-heartbeat',
  `UPDATE cygni.builds
      SET lease_until = now() + $3::float8 * interval '1 second'
    WHERE id = $1 AND attempt = $2 AND state = 'RUNNING'
   RETURNING cancel_requested AS "cancelRequested"`,
);

/** $1 build, $2 attempt, $3 state, $4 image, $5 failure. */
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
  const mayBeOnesFault = (error: unknown) => /^(2[1-3]|55P03)/.test(sqlState(error) ?? '');
  const claim = createBatches<Claimant, BuildClaim | null>({
    together: (claimants, signal) => claimOf(claimUnlocked, claimants, signal),
    alone: async (claimant, signal) => (await claimOf(claimWaiting, [claimant], signal))[0] ?? null,
    groupOf: ({ leaseSeconds }) => String(leaseSeconds),
    keyOf: ({ id }) => id,
    mayBeOnesFault,
  });
  const finish = createBatches<End, boolean>({
    together: (ends, signal) => finishOf(finishUnlocked, ends, signal),
    alone: async (end, signal) => (await finishOf(finishWaiting, [end], signal))[0] ?? false,
    groupOf: ({ alertAt }) => alertAt.join(),
    keyOf: ({ id }) => id,
    mayBeOnesFault,
  });

  async function claimOf(
    text: Statement,
    claimants: readonly Claimant[],
    signal: AbortSignal,
  ): Promise<readonly (BuildClaim | undefined)[]> {
    return claimsOf(await database.execute(text, claimValues(claimants), signal), claimants);
  }

  async function finishOf(
    text: Statement,
    ends: readonly End[],
    signal: AbortSignal,
  ): Promise<readonly (true | undefined)[]> {
    return finishedOf(await database.execute(text, finishValues(ends), signal), ends);
  }

  return {
    async claimBuild(id, leaseSeconds, call) {
      if (!idSchema.safeParse(id).success) return null;
      const claimant = { id: id.toLowerCase(), leaseSeconds };
      return database.attend(call, (signal) => claim(claimant, signal));
    },
    async heartbeatBuild({ id, attempt }, leaseSeconds, call) {
      const [row] = await database.run(heartbeat, [id, attempt, leaseSeconds], call);
      return row ? { cancelRequested: row.cancelRequested === true } : null;
    },
    async finishBuild(fence, result, call) {
      const end = endOf(fence, result);
      if (await database.attend(call, (signal) => finish(end, signal))) return true;
      return (await database.run(endedAlike, end.columns.slice(0, 5), call)).length > 0;
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
