import { encodeCursor, type Store } from '@cygni/core';
import type pg from 'pg';
import { hotTenant } from './builds.ts';
import { call } from './call.ts';
import { compare, perSecond, type Rates, type RoundOptions } from './rounds.ts';

const pageRows = 50;
const deepPage = 10_000;

/** Pages a second: the first one, and one that begins after half a million builds. */
export async function benchPages(
  store: Store,
  pool: pg.Pool,
  options: RoundOptions,
): Promise<Rates<'first' | 'deep'>> {
  const { rows } = await pool.query<{ created_at: Date; id: string }>(
    `SELECT created_at, id FROM cygni.builds WHERE tenant_id = $1
      ORDER BY created_at DESC, id DESC OFFSET $2 LIMIT 1`,
    [hotTenant, (deepPage - 1) * pageRows],
  );
  const last = rows[0];
  if (!last) throw new Error(`there is no page ${deepPage}`);
  const cursor = encodeCursor({ createdAt: last.created_at.toISOString(), id: last.id });
  const list = (from: string | null) => async () => {
    const page = await store.listBuilds(hotTenant, { cursor: from, limit: pageRows }, call);
    if (page.items.length !== pageRows) throw new Error('a page is not full');
  };
  return compare(
    {
      first: (seconds) => perSecond(1, seconds, list(null)),
      deep: (seconds) => perSecond(1, seconds, list(cursor)),
    },
    options,
  );
}
