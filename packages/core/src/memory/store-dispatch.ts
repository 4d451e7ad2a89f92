import type { DispatchOptions } from '../contracts/store.ts';
import { type BuildWork, enqueue, type StoreState } from './store-state.ts';
import { hasAttemptsLeft, isOpen } from './store-work.ts';

/** Queued, and not let through to the queue yet. */
export function isWaiting({ resource, dispatched }: BuildWork): boolean {
  return resource.state === 'QUEUED' && !dispatched;
}

/** Tenant by tenant, the one served longest ago first; of each tenant the oldest build first. */
export function dispatchBuilds(
  state: StoreState,
  { maximumPerTenant, maximumUnclaimed, limit }: DispatchOptions,
): number {
  const open = [...state.builds.values()].filter(isOpen);
  const unclaimed = open.filter((work) => work.resource.state === 'QUEUED' && work.dispatched);
  const room = Math.max(0, Math.min(limit, maximumUnclaimed - unclaimed.length));

  const candidates = [...Map.groupBy(open, ({ resource }) => resource.tenantId)]
    .flatMap(([tenantId, works]) => {
      const waiting = works.filter((work) => isWaiting(work) && hasAttemptsLeft(work));
      const free = Math.max(0, maximumPerTenant - works.filter((work) => !isWaiting(work)).length);
      const turn = state.turns.get(tenantId) ?? 0;
      return waiting
        .sort((left, right) => compareAge(left, right))
        .slice(0, free)
        .map((work, place) => ({ work, tenantId, place, turn }));
    })
    .sort((left, right) => left.place - right.place || left.turn - right.turn)
    .slice(0, room);

  for (const { work, tenantId } of candidates) {
    work.dispatched = true;
    state.turns.set(tenantId, Math.max(0, ...state.turns.values()) + 1);
    enqueue(state, work);
  }
  return candidates.length;
}

function compareAge({ resource: left }: BuildWork, { resource: right }: BuildWork): number {
  return `${left.createdAt} ${left.id}` < `${right.createdAt} ${right.id}` ? -1 : 1;
}
