import type { Store } from '@cygni/core';
import type pg from 'pg';
import { type Builds, reservation, tenants } from './builds.ts';
import { call } from './call.ts';
import { perSecond } from './rounds.ts';

const image = { repository: 'tenant/site', digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 1 };

/** Builds claimed and finished a second, until the seconds or the builds are over. */
export async function benchClaims(
  store: Store,
  pool: pg.Pool,
  builds: Builds,
  clients: number,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<readonly number[]> {
  const rates: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const ids = await queue(Math.ceil(seconds * 3_000));
    const rate = await perSecond(clients, seconds, async () => {
      const id = ids.pop();
      if (id === undefined) throw new Error('too few builds for that many seconds');
      const claim = await store.claimBuild(id, 60, call);
      if (!claim) throw new Error('a build could not be claimed');
      const fence = { id, attempt: claim.build.attempt };
      await store.finishBuild(
        fence,
        { state: 'SUCCEEDED', image, failure: null, charge: 50 },
        call,
      );
    });
    if (round > 0) rates.push(rate);
  }
  return rates;

  async function queue(count: number): Promise<string[]> {
    const accepted = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const build = builds.make(tenants[index % tenants.length] ?? '');
        await store.acceptBuild(build, reservation, null, call);
        return build.id;
      }),
    );
    // Dispatch is not what is measured, and lets few of a tenant's through.
    await pool.query('UPDATE cygni.builds SET dispatched = true WHERE id = ANY ($1::uuid[])', [
      accepted,
    ]);
    return accepted;
  }
}
