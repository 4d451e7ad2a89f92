import type { IdempotencyKey, NewBuild, Reservation } from '@cygni/core';
import type { Row } from '../rows.ts';
import { type Statement, statement } from '../statement.ts';

/** A build that asks to be accepted. */
export interface Candidate {
  readonly build: NewBuild;
  readonly reservation: Reservation;
  readonly idempotency: IdempotencyKey | null;
}

export type Verdict =
  | { readonly kind: 'accepted'; readonly createdAt: string }
  /** Nothing was written: the money or the source is missing, or the key was used. */
  | { readonly kind: 'refused' }
  /** Nothing was written: there is no such account, or (unless it was waited for) somebody else has its lock. */
  | { readonly kind: 'no-account' };

/**
 * $1: the candidates, in their order; those of one account name the same cap, and no two the same key.
 *
 * Each account is locked first: who waits for it sees what the others left. Of an account's candidates those are
 * accepted that the money covers together with all that come before them; it is written from what was locked, since
 * PostgreSQL checks constraints on the row as the snapshot has it before it reads it again. A candidate whose key was used counts
 * as well until then: too much may be refused, never too much accepted.
 */
function accept(name: string, busyAccounts: 'wait' | 'skip'): Statement {
  return statement(
    name,
    `WITH candidate AS MATERIALIZED (
      SELECT * FROM json_to_recordset($1) AS each (
        position integer, tenant_id text, currency text, period_start timestamptz(3), cap bigint, amount bigint,
        route text, key text, fingerprint text, retain_seconds integer,
        id uuid, source_id uuid, repository text, tags text[], dockerfile text, target text, build_arguments text,
        machine text, timeout_seconds integer, maximum_attempts integer, traceparent text, event text)
    ),
    account AS MATERIALIZED (
      SELECT account.tenant_id, account.currency, account.period_start,
             CASE WHEN own_cap THEN account.cap ELSE asked.cap END AS cap, reserved,
             CASE WHEN own_cap THEN account.cap ELSE asked.cap END - spent - reserved AS available
        FROM (SELECT DISTINCT tenant_id, currency, period_start, cap FROM candidate) AS asked
        JOIN cygni.accounts AS account
          ON account.tenant_id = asked.tenant_id AND account.currency = asked.currency
         AND account.period_start = asked.period_start
       ORDER BY account.tenant_id, account.currency, account.period_start
         FOR NO KEY UPDATE OF account ${busyAccounts === 'skip' ? 'SKIP LOCKED' : ''}
    ),
    covered AS MATERIALIZED (
      SELECT *
        FROM (SELECT candidate.*, account.available,
                     sum(amount) OVER (PARTITION BY tenant_id, currency, period_start ORDER BY position) AS total
                FROM candidate JOIN account USING (tenant_id, currency, period_start)
               WHERE EXISTS (SELECT FROM cygni.sources AS source
                              WHERE source.tenant_id = candidate.tenant_id AND source.id = candidate.source_id)
             ) AS counted
       WHERE available IS NULL OR available >= total
    ),
    key AS (
      INSERT INTO cygni.idempotency AS known (tenant_id, route, key, fingerprint, resource_id, expires_at)
      SELECT tenant_id, route, key, fingerprint, id, now() + retain_seconds * interval '1 second'
        FROM covered WHERE key IS NOT NULL
      ON CONFLICT (tenant_id, route, key) DO UPDATE
         SET fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, expires_at = excluded.expires_at
       WHERE known.expires_at <= now()
      RETURNING resource_id
    ),
    accepted AS MATERIALIZED (
      SELECT * FROM covered WHERE key IS NULL OR id IN (SELECT resource_id FROM key)
    ),
    reserved AS (
      UPDATE cygni.accounts AS target
         SET reserved = account.reserved + sum.amount, cap = account.cap, ceiling = account.cap
        FROM (SELECT tenant_id, currency, period_start, sum(amount)::bigint AS amount
                FROM accepted GROUP BY tenant_id, currency, period_start) AS sum
        JOIN account USING (tenant_id, currency, period_start)
       WHERE target.tenant_id = sum.tenant_id AND target.currency = sum.currency
         AND target.period_start = sum.period_start
    ),
    build AS (
      INSERT INTO cygni.builds (
        tenant_id, id, source_id, repository, tags, dockerfile, target, build_arguments, machine,
        timeout_seconds, maximum_attempts, traceparent, currency, estimate)
      SELECT tenant_id, id, source_id, repository, tags, dockerfile, target, build_arguments::json, machine,
             timeout_seconds, maximum_attempts, traceparent, currency, amount
        FROM accepted
      RETURNING id, created_at
    ),
    hold AS (
      INSERT INTO cygni.holds (work_id, kind, tenant_id, currency, period_start, amount)
      SELECT id, 'build', tenant_id, currency, period_start, amount FROM accepted
    ),
    entry AS (
      INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
      SELECT tenant_id, currency, period_start, id, 'hold', amount FROM accepted
    ),
    event AS (
      INSERT INTO cygni.events (tenant_id, type, subject, data)
      SELECT tenant_id, 'build.accepted', id, event::json FROM accepted
    ),
    message AS (
      INSERT INTO cygni.outbox (kind, work_id) SELECT 'build', id FROM accepted
    )
    SELECT position, account.tenant_id IS NOT NULL AS "hasAccount", build.created_at AS "createdAt"
      FROM candidate
      LEFT JOIN account USING (tenant_id, currency, period_start)
      LEFT JOIN build ON build.id = candidate.id`,
  );
}

/** Passes over accounts that others have locked: nobody waits for the account of somebody else. */
export const acceptUnlocked = accept('build-accept', 'skip');
export const acceptWaiting = accept('build-accept-waiting', 'wait');

export function acceptValues(candidates: readonly Candidate[]): readonly unknown[] {
  return [JSON.stringify(candidates.map(documentOf))];
}

export function verdictsOf(rows: readonly Row[], candidates: readonly Candidate[]): Verdict[] {
  const verdicts = candidates.map((): Verdict => ({ kind: 'refused' }));
  for (const { position, hasAccount, createdAt } of rows) {
    if (typeof createdAt === 'string') verdicts[Number(position)] = { kind: 'accepted', createdAt };
    else if (hasAccount !== true) verdicts[Number(position)] = { kind: 'no-account' };
  }
  return verdicts;
}

function documentOf({ build, reservation, idempotency }: Candidate, position: number) {
  const { sourceId, repository, machine } = build;
  const { amount, currency, limit } = reservation;
  return {
    position,
    tenant_id: build.tenantId,
    currency,
    period_start: limit.periodStart,
    cap: limit.cap,
    amount,
    route: idempotency?.route,
    key: idempotency?.key,
    fingerprint: idempotency?.fingerprint,
    retain_seconds: idempotency?.retainSeconds,
    id: build.id,
    source_id: sourceId,
    repository,
    tags: build.tags,
    dockerfile: build.dockerfile,
    target: build.target,
    // As text: what reads the whole document refuses U+0000, also where it is escaped.
    build_arguments: JSON.stringify(build.buildArguments),
    machine,
    timeout_seconds: build.timeoutSeconds,
    maximum_attempts: build.maximumAttempts,
    traceparent: build.traceparent,
    event: JSON.stringify({ sourceId, repository, machine, estimate: amount }),
  };
}
