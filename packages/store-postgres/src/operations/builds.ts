import {
  type Accepted,
  type Build,
  buildSchema,
  type Call,
  CygniError,
  type IdempotencyKey,
  idSchema,
  type NewBuild,
  pageOf,
  type Reservation,
  type Store,
} from '@cygni/core';
import type { Database } from '../database.ts';
import { violates } from '../map-error.ts';
import { positionOf } from '../pages.ts';
import { parseRow, type Row } from '../rows.ts';
import { statement } from '../statement.ts';
import { budgetExceeded, ensureAccount, readAccount } from './accounts.ts';
import { ending } from './ending.ts';
import { findReplay } from './idempotency.ts';
import { getSource } from './sources.ts';

/** Of `build`, under the model's names. */
export const buildColumns = `
  build.id, build.tenant_id AS "tenantId", build.state, build.source_id AS "sourceId", build.repository, build.tags,
  build.dockerfile, build.target, build.build_arguments AS "buildArguments", build.machine,
  build.timeout_seconds AS "timeoutSeconds", build.attempt, build.maximum_attempts AS "maximumAttempts",
  build.cancel_requested AS "cancelRequested", build.image, build.failure, build.currency, build.estimate, build.cost,
  build.created_at AS "createdAt", build.started_at AS "startedAt", build.finished_at AS "finishedAt"`;

/**
 * $1 tenant, $2 currency, $3 period, $4 the policy's cap, $5 amount; $6 route, $7 key (or null), $8 fingerprint,
 * $9 seconds to keep it; $10 build, $11 source, $12 and on: the rest of the build; $20 the event's data.
 * The account is locked first: who waits for it sees what the others left. No row: nothing was written, because the
 * account is missing or lacks the money, the source is missing, or the key was used.
 */
const accept = statement(
  'build-accept',
  `WITH account AS (
    SELECT tenant_id, currency, period_start
      FROM cygni.accounts
     WHERE tenant_id = $1 AND currency = $2 AND period_start = $3
       AND (CASE WHEN own_cap THEN cap ELSE $4::bigint END IS NULL
            OR CASE WHEN own_cap THEN cap ELSE $4::bigint END - spent - reserved >= $5::bigint)
       AND EXISTS (SELECT FROM cygni.sources WHERE tenant_id = $1 AND id = $11)
       FOR NO KEY UPDATE
  ),
  key AS (
    INSERT INTO cygni.idempotency AS known (tenant_id, route, key, fingerprint, resource_id, expires_at)
    SELECT $1, $6, $7, $8, $10, now() + $9::integer * interval '1 second'
      FROM account WHERE $7::text IS NOT NULL
    ON CONFLICT (tenant_id, route, key) DO UPDATE
       SET fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, expires_at = excluded.expires_at
     WHERE known.expires_at <= now()
    RETURNING key
  ),
  reserved AS (
    UPDATE cygni.accounts AS target
       SET reserved = target.reserved + $5::bigint,
           cap = CASE WHEN own_cap THEN cap ELSE $4::bigint END,
           ceiling = CASE WHEN own_cap THEN ceiling
                          WHEN $4 IS NOT NULL THEN greatest($4, target.spent + target.reserved) END
      FROM account
     WHERE target.tenant_id = account.tenant_id AND target.currency = account.currency
       AND target.period_start = account.period_start
       AND ($7 IS NULL OR EXISTS (SELECT FROM key))
    RETURNING target.tenant_id, target.currency, target.period_start
  ),
  build AS (
    INSERT INTO cygni.builds (
      tenant_id, id, source_id, repository, tags, dockerfile, target, build_arguments, machine,
      timeout_seconds, maximum_attempts, currency, estimate)
    SELECT tenant_id, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, currency, $5 FROM reserved
    RETURNING *
  ),
  hold AS (
    INSERT INTO cygni.holds (work_id, kind, tenant_id, currency, period_start, amount)
    SELECT $10, 'build', tenant_id, currency, period_start, $5 FROM reserved
  ),
  entry AS (
    INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
    SELECT tenant_id, currency, period_start, $10, 'hold', $5 FROM reserved
  ),
  event AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'build.accepted', $10, $20 FROM reserved
  ),
  message AS (
    INSERT INTO cygni.outbox (kind, work_id) SELECT 'build', $10 FROM reserved
  )
  SELECT ${buildColumns} FROM build`,
);

const read = statement(
  'build-read',
  `SELECT ${buildColumns} FROM cygni.builds AS build WHERE build.tenant_id = $1 AND build.id = $2`,
);

const list = statement(
  'build-list',
  `SELECT ${buildColumns}
     FROM cygni.builds AS build
    WHERE build.tenant_id = $1 AND (build.created_at, build.id) < ($2::timestamptz, $3::uuid)
    ORDER BY build.created_at DESC, build.id DESC
    LIMIT $4`,
);

/** One update decides by the state it finds under the row's lock; two would miss a claim in between. */
const cancel = statement(
  'build-cancel',
  `WITH build AS (
    UPDATE cygni.builds
       SET cancel_requested = true,
           state = CASE state WHEN 'QUEUED' THEN 'CANCELLED' ELSE state END,
           cost = CASE state WHEN 'QUEUED' THEN 0 END,
           finished_at = CASE state WHEN 'QUEUED' THEN now() END
     WHERE tenant_id = $1 AND id = $2 AND state IN ('QUEUED', 'RUNNING') AND NOT cancel_requested
    RETURNING *
  ),
  asked AS (
    INSERT INTO cygni.events (tenant_id, type, subject, data)
    SELECT tenant_id, 'build.cancel_requested', id, '{}' FROM build WHERE state = 'RUNNING'
  ),
  ended AS (
    SELECT tenant_id, id, state, cost, 'cancelled' AS reason FROM build WHERE state = 'CANCELLED'
  ),
  ${ending('build')}
  SELECT ${buildColumns} FROM build`,
);

/** How often an acceptance is tried when what refused it has gone by the time it is looked for. */
const acceptTries = 5;

export function buildOperations(
  database: Database,
): Pick<Store, 'acceptBuild' | 'getBuild' | 'listBuilds' | 'cancelBuild'> {
  async function getBuild(tenantId: string, id: string, call: Call): Promise<Build | null> {
    if (!idSchema.safeParse(id).success) return null;
    const [row] = await database.run(read, [tenantId, id], call);
    return row ? buildOf(row) : null;
  }

  async function acceptBuild(
    build: NewBuild,
    reservation: Reservation,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Build>> {
    const { tenantId } = build;
    const { currency, limit } = reservation;
    const values = acceptValues(build, reservation, idempotency);
    let twice = false;
    for (let tries = 0; tries < acceptTries; tries += 1) {
      const [row] = await database.run(accept, values, call, (error) => {
        // A retry of the same call, whose first answer got lost.
        twice = violates(error, 'builds_pkey');
        return twice ? [] : undefined;
      });
      if (row) return { resource: buildOf(row), replayed: false };

      const run = (...[text, bound = []]: Parameters<Parameters<typeof findReplay>[0]>) =>
        database.run(text, bound, call);
      const made = twice ? build.id : idempotency && (await findReplay(run, tenantId, idempotency));
      if (made) {
        const resource = await getBuild(tenantId, made, call);
        if (!resource) throw new CygniError('not_found', 'what this request made is gone');
        return { resource, replayed: true };
      }
      if (!(await getSource(database, tenantId, build.sourceId, call))) {
        throw new CygniError('not_found', `no source ${build.sourceId}`);
      }
      await database.transaction(async (session) => {
        const account = await readAccount(session, tenantId, currency, limit);
        if (!account) return ensureAccount(session, tenantId, currency, limit);
        const refusal = budgetExceeded(account, reservation);
        if (refusal) throw refusal;
      }, call);
    }
    throw new CygniError('unavailable', 'the account changes too fast');
  }

  return {
    acceptBuild,
    getBuild,
    async listBuilds(tenantId, page, call) {
      const rows = await database.run(list, [tenantId, ...positionOf(page), page.limit + 1], call);
      return pageOf(rows.map(buildOf), page, ({ createdAt, id }) => ({ createdAt, id }));
    },
    async cancelBuild(tenantId, id, call) {
      if (!idSchema.safeParse(id).success) return null;
      const [row] = await database.run(cancel, [tenantId, id], call);
      return row ? buildOf(row) : getBuild(tenantId, id, call);
    },
  };
}

export function buildOf(row: Row): Build {
  return parseRow(buildSchema, row);
}

function acceptValues(
  build: NewBuild,
  { amount, currency, limit }: Reservation,
  idempotency: IdempotencyKey | null,
): readonly unknown[] {
  const { id, tenantId, sourceId, repository, machine } = build;
  return [
    tenantId,
    currency,
    limit.periodStart,
    limit.cap,
    amount,
    idempotency?.route ?? null,
    idempotency?.key ?? null,
    idempotency?.fingerprint ?? null,
    idempotency?.retainSeconds ?? null,
    id,
    sourceId,
    repository,
    build.tags,
    build.dockerfile,
    build.target,
    JSON.stringify(build.buildArguments),
    machine,
    build.timeoutSeconds,
    build.maximumAttempts,
    JSON.stringify({ sourceId, repository, machine, estimate: amount }),
  ];
}
