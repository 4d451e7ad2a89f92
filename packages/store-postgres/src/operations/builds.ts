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
import { sqlState, violates } from '../map-error.ts';
import { positionOf } from '../pages.ts';
import { parseRow, type Row } from '../rows.ts';
import { statement } from '../statement.ts';
import { createAcceptQueue } from './accept-queue.ts';
import {
  acceptUnlocked,
  acceptValues,
  acceptWaiting,
  type Candidate,
  type Verdict,
  verdictsOf,
} from './accept-statement.ts';
import { budgetExceeded, ensureAccount, readAccount } from './accounts.ts';
import { ending } from './ending.ts';
import { findReplay } from './idempotency.ts';
import { getSource } from './sources.ts';

/** Of `build`, under the model's names. */
export const buildColumns = `
  build.id, build.tenant_id AS "tenantId", build.state, build.source_id AS "sourceId", build.repository, build.tags,
  build.dockerfile, build.target, build.build_arguments AS "buildArguments", build.machine,
  build.timeout_seconds AS "timeoutSeconds", build.attempt, build.maximum_attempts AS "maximumAttempts",
  build.cancel_requested AS "cancelRequested", build.image, build.cache, build.failure, build.currency, build.estimate, build.cost,
  build.created_at AS "createdAt", build.started_at AS "startedAt", build.finished_at AS "finishedAt"`;

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

  const queue = createAcceptQueue({
    judge: async (candidates, busyAccounts, signal) => {
      const text = busyAccounts === 'wait' ? acceptWaiting : acceptUnlocked;
      const rows = await database.execute(text, acceptValues(candidates), signal);
      return verdictsOf(rows, candidates);
    },
    // A value that cannot be stored, or that breaks a rule of a table's.
    mayBeOnesFault: (error) => /^2[1-3]/.test(sqlState(error) ?? ''),
    longestWaitMs: database.connectionTimeoutMs,
  });

  /** What the same request made before: by its key, or, of a call that is repeated because its answer got lost, by its id. */
  async function findEarlier(
    { build, idempotency }: Candidate,
    call: Call,
  ): Promise<Accepted<Build> | undefined> {
    const { tenantId } = build;
    const run = (...[text, bound = []]: Parameters<Parameters<typeof findReplay>[0]>) =>
      database.run(text, bound, call);
    const made = idempotency && (await findReplay(run, tenantId, idempotency));
    const resource = await getBuild(tenantId, made ?? build.id, call);
    if (resource) return { resource, replayed: true };
    if (made) throw new CygniError('not_found', 'what this request made is gone');
    return undefined;
  }

  async function acceptBuild(
    build: NewBuild,
    reservation: Reservation,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Build>> {
    const { tenantId } = build;
    const { currency, limit } = reservation;
    const candidate = { build, reservation, idempotency };
    let company: 'together' | 'alone' = 'together';
    for (let tries = 0; tries < acceptTries; tries += 1) {
      const verdict = await database.attend(call, (signal) =>
        queue.judge(candidate, company, signal).catch((error: unknown): Verdict => {
          if (violates(error, 'builds_pkey')) return { kind: 'refused' };
          throw error;
        }),
      );
      if (verdict.kind === 'accepted') {
        return { resource: acceptedBuild(candidate, verdict), replayed: false };
      }
      company = verdict.kind === 'no-account' ? 'together' : 'alone';
      const before = await findEarlier(candidate, call);
      if (before) return before;
      if (!(await getSource(database, tenantId, build.sourceId, call))) {
        throw new CygniError('not_found', `no source ${build.sourceId}`);
      }
      const refusal = await database.transaction(async (session) => {
        const account = await readAccount(session, tenantId, currency, limit);
        if (account) return budgetExceeded(account, reservation);
        await ensureAccount(session, tenantId, currency, limit);
        return undefined;
      }, call);
      if (!refusal) continue;
      // The same request may have been accepted since it was looked for, with the money that is now missing.
      const meanwhile = await findEarlier(candidate, call);
      if (meanwhile) return meanwhile;
      throw refusal;
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

function acceptedBuild(
  { build: { traceparent: _, ...build }, reservation }: Candidate,
  { createdAt }: { readonly createdAt: string },
): Build {
  return {
    ...build,
    tags: [...build.tags],
    buildArguments: { ...build.buildArguments },
    state: 'QUEUED',
    attempt: 0,
    cancelRequested: false,
    image: null,
    cache: null,
    failure: null,
    currency: reservation.currency,
    estimate: reservation.amount,
    cost: null,
    createdAt,
    startedAt: null,
    finishedAt: null,
  };
}
