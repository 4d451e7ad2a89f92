import type { Pool } from '@cygni/store-postgres';
import { changingQueries } from './changing-queries.ts';

/**
 * Guarantees that can be broken on purpose, to see the harness find it.
 * `fence`: a write no longer asks whether the claim it was made under is the newest. `sweep`: nobody sweeps.
 */
export const sabotages = ['fence', 'sweep'] as const;

/** Of one claim, and of each of several. */
const fence = /\b(?:build\.)?attempt = (\$2|asked\.attempt)\b/g;

/** The pool, its SQL without the fence. */
export function withoutFence(pool: Pool): Pool {
  return changingQueries(pool, (query) => {
    const text = query.text.replaceAll(fence, '($1)::integer IS NOT NULL');
    if (text === query.text) return query;
    return { ...query, text, ...(query.name ? { name: `${query.name}-unfenced` } : {}) };
  });
}
