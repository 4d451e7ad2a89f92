import { randomUUID } from 'node:crypto';
import type { Store } from '@cygni/core';
import type pg from 'pg';
import { type Builds, hotTenant, reservation, tenants } from './builds.ts';
import { call } from './call.ts';
import { compare, perSecond, type Rates, type RoundOptions } from './rounds.ts';

/** Acceptances with an idempotency key, beside the insertion of one row into a table with a primary key. */
export async function benchAccept(
  store: Store,
  pool: pg.Pool,
  builds: Builds,
  clients: number,
  options: RoundOptions,
): Promise<Rates<'bare' | 'hot' | 'spread'>> {
  await pool.query('CREATE TABLE IF NOT EXISTS bare (id uuid PRIMARY KEY, tenant text NOT NULL)');
  const insert = { name: 'bare', text: 'INSERT INTO bare (id, tenant) VALUES ($1, $2)' };

  async function accept(tenantId: string): Promise<void> {
    const build = builds.make(tenantId);
    const request = { route: 'POST /v1/builds', key: build.id, fingerprint: build.id };
    await store.acceptBuild(build, reservation, { ...request, retainSeconds: 86_400 }, call);
  }

  let turn = 0;
  return compare(
    {
      bare: (seconds) =>
        perSecond(clients, seconds, () =>
          pool.query({ ...insert, values: [randomUUID(), hotTenant] }),
        ),
      hot: (seconds) => perSecond(clients, seconds, () => accept(hotTenant)),
      spread: (seconds) =>
        perSecond(clients, seconds, () => {
          turn += 1;
          return accept(tenants[turn % tenants.length] ?? hotTenant);
        }),
    },
    options,
  );
}
