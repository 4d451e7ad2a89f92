import { CygniError, type IdempotencyKey } from '@cygni/core';
import type { Session } from '../checkout.ts';
import { statement } from '../statement.ts';

const read = statement(
  'idempotency-read',
  `SELECT fingerprint, resource_id AS "resourceId"
     FROM cygni.idempotency
    WHERE tenant_id = $1 AND route = $2 AND key = $3 AND expires_at > now()`,
);

/**
 * The id of what a request with this key made.
 * @throws `idempotency_mismatch`
 */
export async function findReplay(
  run: Session['run'],
  tenantId: string,
  { route, key, fingerprint }: IdempotencyKey,
): Promise<string | null> {
  const [row] = await run(read, [tenantId, route, key]);
  if (!row) return null;
  if (row.fingerprint !== fingerprint) {
    const message = 'this idempotency key was used for another request';
    throw new CygniError('idempotency_mismatch', message);
  }
  return String(row.resourceId);
}

/** No row: the key is in use. A second request with it waits here for the first one's end. */
const take = statement(
  'idempotency-take',
  `INSERT INTO cygni.idempotency AS known (tenant_id, route, key, fingerprint, resource_id, expires_at)
   VALUES ($1, $2, $3, $4, $5, now() + $6::integer * interval '1 second')
   ON CONFLICT (tenant_id, route, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, expires_at = excluded.expires_at
    WHERE known.expires_at <= now()
   RETURNING key`,
);

/**
 * Takes the key for what is about to be made; or else gives the id of what a request with it made.
 * @throws `idempotency_mismatch`
 */
export async function takeKey(
  run: Session['run'],
  tenantId: string,
  idempotency: IdempotencyKey,
  resourceId: string,
): Promise<string | null> {
  const { route, key, fingerprint, retainSeconds } = idempotency;
  const values = [tenantId, route, key, fingerprint, resourceId, retainSeconds];
  const [taken] = await run(take, values);
  if (taken) return null;
  const made = await findReplay(run, tenantId, idempotency);
  if (made) return made;
  throw new CygniError('unavailable', 'the idempotency record expired just now');
}
