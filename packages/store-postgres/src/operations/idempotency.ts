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
