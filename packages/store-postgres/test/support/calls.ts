import { randomUUID } from 'node:crypto';
import type { Call, NewBuild, Reservation, Store } from '@cygni/core';

const log = { debug() {}, info() {}, warn() {}, error() {} };

export function callWith(signal = new AbortController().signal): Call {
  return { signal, log };
}
export const call = callWith();

export const reservation: Reservation = {
  amount: 100,
  currency: 'USD',
  limit: { cap: null, periodStart: '2026-01-01T00:00:00.000Z', periodEnd: null },
};

/** A build that can be accepted: its source is there. */
export async function newBuild(store: Store, changes: Partial<NewBuild> = {}): Promise<NewBuild> {
  const tenantId = changes.tenantId ?? 'acme';
  const source = { id: randomUUID(), tenantId, key: 'k', sizeBytes: 1, sha256: 's' };
  await store.addSource(source, null, call);
  return {
    id: randomUUID(),
    tenantId,
    sourceId: source.id,
    repository: 'site',
    tags: [],
    dockerfile: 'Dockerfile',
    target: null,
    buildArguments: {},
    machine: 'small',
    timeoutSeconds: 60,
    maximumAttempts: 3,
    ...changes,
  };
}

export async function acceptBuild(store: Store, changes: Partial<NewBuild> = {}): Promise<string> {
  const build = await newBuild(store, changes);
  await store.acceptBuild(build, reservation, null, call);
  return build.id;
}

/** Waits until `check` is true; tests have no other way to wait. */
export async function until(check: () => Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
