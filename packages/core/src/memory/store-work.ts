import { isDeepStrictEqual } from 'node:util';
import type { Fence, Heartbeat, Settlement } from '../contracts/store.ts';
import type { Build } from '../model/build.ts';
import type { Deployment } from '../model/deployment.ts';
import { settle } from './store-accounts.ts';
import { isoNow, record, type StoreState, type Work } from './store-state.ts';

/** The work that the fence still stands for. */
export function held<W extends Work>(works: ReadonlyMap<string, W>, fence: Fence): W | undefined {
  const work = works.get(fence.id);
  const { resource } = work ?? {};
  return resource?.state === 'RUNNING' && resource.attempt === fence.attempt ? work : undefined;
}

/** Whether this very attempt has ended the work in this way already. */
export function hasEndedAlike<Resource extends Build | Deployment>(
  works: ReadonlyMap<string, Work<Resource>>,
  fence: Fence,
  end: Partial<Resource>,
): boolean {
  const { resource } = works.get(fence.id) ?? {};
  if (resource?.attempt !== fence.attempt) return false;
  return isDeepStrictEqual({ ...resource, ...end }, resource);
}

export function isOpen({ resource }: Work): boolean {
  return resource.state === 'QUEUED' || resource.state === 'RUNNING';
}

/** Nobody works on it: queued, or running with an expired lease. */
export function isFree(state: StoreState, { resource, leaseUntil }: Work): boolean {
  if (resource.state === 'QUEUED') return true;
  return resource.state === 'RUNNING' && leaseUntil !== null && leaseUntil < state.now();
}

export function hasAttemptsLeft({ countedAttempts, maximumAttempts }: Work): boolean {
  return countedAttempts < maximumAttempts;
}

/** Gives the work to a new holder, and returns what changes in its resource. */
export function claim(state: StoreState, work: Work, leaseSeconds: number) {
  const { id, tenantId, attempt: last, startedAt } = work.resource;
  const attempt = last + 1;
  work.countedAttempts += 1;
  work.leaseUntil = state.now() + leaseSeconds * 1000;
  record(state, { tenantId, type: `${work.kind}.started`, subject: id, data: { attempt } });
  return { state: 'RUNNING', attempt, startedAt: startedAt ?? isoNow(state) } as const;
}

export function prolong(
  state: StoreState,
  work: Work | undefined,
  leaseSeconds: number,
): Heartbeat | null {
  if (!work) return null;
  work.leaseUntil = state.now() + leaseSeconds * 1000;
  return { cancelRequested: work.cancelRequested };
}

export function recordReleased(
  state: StoreState,
  { kind, resource }: Work,
  counted: boolean,
): void {
  const { tenantId, id, attempt } = resource;
  const data = { attempt, counted };
  record(state, { tenantId, type: `${kind}.released`, subject: id, data });
}

/** Ends the work with what `end` says, settles its hold and records the event. */
export function finish<Resource extends Build | Deployment>(
  state: StoreState,
  work: Work<Resource>,
  end: Partial<Resource> & { readonly state: Resource['state'] },
  { reason, ...settlement }: Settlement & { readonly reason: string | null },
): void {
  const { id, tenantId, estimate } = work.resource;
  const cost = Math.min(settlement.charge, estimate);
  settle(state, id, settlement);
  work.resource = { ...work.resource, ...end, cost, finishedAt: isoNow(state) };
  work.leaseUntil = null;
  const data = { state: end.state, cost, reason };
  record(state, { tenantId, type: eventType(work), subject: id, data });
}

function eventType({ kind, resource }: Work) {
  if (kind === 'build') return 'build.finished';
  if (resource.state === 'ROLLED_BACK') return 'deployment.rolled_back';
  return resource.state === 'SUPERSEDED' ? 'deployment.superseded' : 'deployment.finished';
}
