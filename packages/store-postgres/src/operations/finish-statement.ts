import type { BuildFinish, Fence } from '@cygni/core';
import type { Row } from '../rows.ts';
import { type Statement, statement } from '../statement.ts';
import { ending } from './ending.ts';

/** What a build is to end with. */
export interface End {
  readonly id: string;
  readonly alertAt: readonly number[];
  /** Build, attempt, state, image, failure, charge, reason, cache. */
  readonly columns: readonly unknown[];
}

export function endOf(
  { id, attempt }: Fence,
  { state, image, cache = null, failure, charge, alertAt = [] }: BuildFinish,
): End {
  const [imageText, failureText, cacheText] = [image, failure, cache].map(
    (each) => each && JSON.stringify(each),
  );
  const reason = failure?.reason ?? null;
  const key = id.toLowerCase();
  return {
    id: key,
    alertAt,
    columns: [key, attempt, state, imageText, failureText, charge, reason, cacheText],
  };
}

/**
 * $1 builds, $2 attempts, $3 states, $4 images, $5 failures, $6 charges, $7 reasons, $8 caches; $9 thresholds. The
 * accounts are locked together with the builds: no end of one tenant's waits for the money of another.
 */
function finish(name: string, busyAccounts: 'wait' | 'skip'): Statement {
  return statement(
    name,
    `WITH mine AS MATERIALIZED (
      SELECT asked.*
        FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
               AS asked (id, attempt, state, image, failure, charge, reason, cache)
        JOIN cygni.builds AS build ON build.id = asked.id
        JOIN cygni.holds AS held ON held.work_id = build.id
        JOIN cygni.accounts AS account
          ON account.tenant_id = held.tenant_id AND account.currency = held.currency
         AND account.period_start = held.period_start
       WHERE build.attempt = asked.attempt AND build.state = 'RUNNING'
         FOR NO KEY UPDATE OF build, account ${busyAccounts === 'skip' ? 'SKIP LOCKED' : ''}
    ),
    ended AS (
      UPDATE cygni.builds AS build
         SET state = mine.state, image = mine.image::json, failure = mine.failure::json, cache = mine.cache::json,
             cost = least(mine.charge, estimate), lease_until = NULL, finished_at = now()
        FROM mine
       WHERE build.id = mine.id
      RETURNING build.tenant_id, build.id, build.state, build.cost, mine.reason
    ),
    ${ending('build', { alertAt: '$9' })}
    SELECT id FROM ended`,
  );
}

/** Passes over builds and accounts that others have locked. */
export const finishUnlocked = finish('build-finish', 'skip');
export const finishWaiting = finish('build-finish-waiting', 'wait');

/** Of ends of different builds, with the same thresholds. */
export function finishValues(ends: readonly End[]): readonly unknown[] {
  const columns = ends[0]?.columns.map((_, index) => ends.map(({ columns }) => columns[index]));
  return [...(columns ?? []), ends[0]?.alertAt];
}

export function finishedOf(
  rows: readonly Row[],
  ends: readonly End[],
): readonly (true | undefined)[] {
  const finished = new Set(rows.map(({ id }) => id));
  return ends.map(({ id }) => finished.has(id) || undefined);
}
