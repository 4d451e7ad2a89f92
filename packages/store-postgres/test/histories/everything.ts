import type { Store } from '@cygni/core';
import { call } from '../support/calls.ts';
import { limitOf, type World } from './actions.ts';
import { withoutTimes } from './outcome.ts';

const page = { limit: 200, cursor: null };

/** All that the store tells of what a history has made. */
export async function everythingIn(store: Store, world: World): Promise<unknown> {
  const seen: unknown[] = [];
  for (const { tenantId, id } of world.builds) {
    seen.push(await store.getBuild(tenantId, id, call));
    seen.push(await store.readLog(tenantId, id, { after: 0, limit: 100 }, call));
  }
  for (const { tenantId, id } of world.deployments) {
    seen.push(await store.getDeployment(tenantId, id, call));
  }
  for (const tenantId of world.tenants) {
    for (let month = 0; month <= world.month; month += 1) {
      seen.push(await store.getAccount(tenantId, 'USD', limitOf(month, 400), call));
    }
    for (const service of ['service-0', 'service-1']) {
      const key = { tenantId, service };
      seen.push(await store.getService(key, call));
      seen.push((await store.listRevisions(key, page, call)).items);
    }
    const events = (await store.listEvents(tenantId, page, call)).items;
    // In one millisecond, their order is left open.
    seen.push(
      events.map(({ type, subject, data }) => JSON.stringify({ type, subject, data })).sort(),
    );
  }
  return withoutTimes(seen);
}
