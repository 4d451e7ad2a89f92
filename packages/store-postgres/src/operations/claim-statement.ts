import { type BuildClaim, sourceSchema } from '@cygni/core';
import { z } from 'zod';
import { own, parseRow, part, type Row } from '../rows.ts';
import { type Statement, statement } from '../statement.ts';
import { buildColumns, buildOf } from './builds.ts';

/** Who asks for a build. */
export interface Claimant {
  readonly id: string;
  readonly leaseSeconds: number;
}

const claimSchema = z.strictObject({
  attemptsLeft: z.int().nonnegative(),
  traceparent: z.string().nullable(),
});

const runSchema = z.strictObject({
  attempt: z.int().positive(),
  ageSeconds: z.number().nonnegative(),
});

const storedLogSchema = z.strictObject({
  position: z.int().nonnegative(),
  firstTime: z.string(),
  lastTime: z.string(),
});

/** Of JSON like [["time","text"],…], in which a quote inside of a text stands behind a backslash. PostgreSQL's own JSON refuses U+0000. */
const firstTime = `'^\\[\\["([^"]*)"'`;
const lastTime = `'^.*\\["([^"]*)"'`;

/** $1 builds, $2 seconds. */
function claim(name: string, busyBuilds: 'wait' | 'skip'): Statement {
  return statement(
    name,
    `WITH free AS MATERIALIZED (
      SELECT id FROM cygni.builds
       WHERE id = ANY ($1::uuid[])
         AND ((state = 'QUEUED' AND dispatched) OR (state = 'RUNNING' AND lease_until < now()))
         AND counted_attempts < maximum_attempts
         FOR NO KEY UPDATE ${busyBuilds === 'skip' ? 'SKIP LOCKED' : ''}
    ),
    build AS (
      UPDATE cygni.builds AS mine
         SET state = 'RUNNING', attempt = attempt + 1, counted_attempts = counted_attempts + 1,
             lease_until = now() + $2::float8 * interval '1 second', started_at = coalesce(started_at, now()),
             run = coalesce(run, attempt + 1),
             run_began_at = CASE WHEN run IS NULL THEN now() ELSE run_began_at END
        FROM free
       WHERE mine.id = free.id
      RETURNING mine.*
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
           build.traceparent AS "claim.traceparent",
           build.run AS "run.attempt",
           greatest(0, extract(epoch FROM now() - build.run_began_at)::float8) AS "run.ageSeconds",
           newest.position + newest.line_count - 1 AS "log.position",
           substring(oldest.lines FROM ${firstTime}) AS "log.firstTime",
           substring(newest.lines FROM ${lastTime}) AS "log.lastTime"
      FROM build JOIN cygni.sources AS source ON source.tenant_id = build.tenant_id AND source.id = build.source_id
      LEFT JOIN LATERAL (
        SELECT lines FROM cygni.log_chunks
         WHERE build_id = build.id AND attempt >= build.run ORDER BY position LIMIT 1
      ) AS oldest ON true
      LEFT JOIN LATERAL (
        SELECT position, line_count, lines FROM cygni.log_chunks
         WHERE build_id = build.id AND attempt >= build.run ORDER BY position + line_count DESC LIMIT 1
      ) AS newest ON true`,
  );
}

/** Passes over builds that others have locked. */
export const claimUnlocked = claim('build-claim', 'skip');
export const claimWaiting = claim('build-claim-waiting', 'wait');

/** Of claimants that ask for different builds, for the same time. */
export function claimValues(claimants: readonly Claimant[]): readonly unknown[] {
  return [claimants.map(({ id }) => id), claimants[0]?.leaseSeconds];
}

export function claimsOf(
  rows: readonly Row[],
  claimants: readonly Claimant[],
): readonly (BuildClaim | undefined)[] {
  const claims = new Map(rows.map((row) => [row.id, claimOf(row)]));
  return claimants.map(({ id }) => claims.get(id));
}

function claimOf(row: Row): BuildClaim {
  const log = part(row, 'log');
  const storedLog = log.position === null ? null : parseRow(storedLogSchema, log);
  return {
    build: buildOf(own(row)),
    source: parseRow(sourceSchema, part(row, 'source')),
    ...parseRow(claimSchema, part(row, 'claim')),
    run: { ...parseRow(runSchema, part(row, 'run')), storedLog },
  };
}
