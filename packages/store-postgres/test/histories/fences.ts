import type { Fence, MessageKind, Store } from '@cygni/core';
import { expect } from 'vitest';
import { call } from '../support/calls.ts';
import { leaseSeconds, type World } from './actions.ts';

export const nameOf = ({ id, attempt }: Fence) => `${id}/${attempt}`;

interface Given {
  readonly kind: MessageKind;
  readonly fence: Fence;
}

/** Those that were given before another one on the same work was. */
export function staleFences({ fences }: World): readonly Given[] {
  return (['build', 'deployment'] as const).flatMap((kind) => {
    const latest = new Map(fences[kind].map(({ id, attempt }) => [id, attempt]));
    return fences[kind]
      .filter(({ id, attempt }) => latest.get(id) !== attempt)
      .map((fence) => ({ kind, fence }));
  });
}

/** The store does not listen to any of them. */
export async function mustBeDeaf(store: Store, world: World): Promise<void> {
  for (const { kind, fence } of staleFences(world)) {
    const writes =
      kind === 'build'
        ? [
            await store.heartbeatBuild(fence, leaseSeconds, call),
            await store.appendLog({ ...fence, position: 9, lines: [] }, call),
            await store.releaseBuild(fence, { countAttempt: false }, call),
            await store.finishBuild(
              fence,
              { state: 'TIMED_OUT', image: null, failure: null, charge: 1 },
              call,
            ),
          ]
        : [
            await store.heartbeatDeployment(fence, leaseSeconds, call),
            await store.advanceDeployment(fence, 'BAKING', call),
            await store.releaseDeployment(fence, { countAttempt: false }, call),
            await store.finishDeployment(
              fence,
              { state: 'SUCCEEDED', evidence: null, charge: 1, url: null },
              call,
            ),
          ];
    expect(writes.filter(Boolean), 'a stale write').toEqual([]);
  }
}
