import type { SweepOptions, SweepResult } from '../contracts/store.ts';
import type { BuildFailure } from '../model/build.ts';
import { wakeNext } from './store-deployments.ts';
import { isWaiting } from './store-dispatch.ts';
import { type BuildWork, enqueue, type StoreState, type Work } from './store-state.ts';
import { finish, hasAttemptsLeft, isFree } from './store-work.ts';

const deadLetter: BuildFailure = {
  reason: 'platform_error',
  message: 'every attempt was lost by the platform',
  platformFault: true,
};

/** Brings back what was forgotten, and ends what is never tried again. */
export function sweepState(state: StoreState, { queuedSeconds, limit }: SweepOptions): SweepResult {
  const now = state.now();
  const waiting = new Set(state.outbox.map(({ message }) => message.id));
  const isOver = (work: Work) =>
    isFree(state, work) && (!hasAttemptsLeft(work) || work.cancelRequested);

  const isDue = (work: Work | BuildWork) => {
    if ('dispatched' in work && isWaiting(work)) return false;
    const again = work.enqueuedAt < now - queuedSeconds * 1000;
    if (!isFree(state, work) || !hasAttemptsLeft(work)) return false;
    return again || (work.leaseUntil !== null && work.enqueuedAt < work.leaseUntil);
  };

  function outcomeOf({ cancelRequested }: Work) {
    return cancelRequested
      ? ({ state: 'CANCELLED', reason: 'cancelled' } as const)
      : ({ state: 'FAILED', reason: 'platform_error' } as const);
  }

  let deadLettered = 0;
  for (const work of [...state.builds.values()].filter(isOver).slice(0, limit)) {
    const { state: ended, reason } = outcomeOf(work);
    const failure = ended === 'FAILED' ? deadLetter : null;
    finish(state, work, { state: ended, failure }, { charge: 0, reason });
    if (ended === 'FAILED') deadLettered += 1;
  }
  for (const work of [...state.deployments.values()].filter(isOver).slice(0, limit)) {
    const { state: ended, reason } = outcomeOf(work);
    finish(state, work, { state: ended, phase: 'DONE' }, { charge: 0, reason });
    wakeNext(state, work.resource);
    if (ended === 'FAILED') deadLettered += 1;
  }

  let requeued = 0;
  for (const works of [state.builds, state.deployments]) {
    for (const work of [...works.values()].filter(isDue).slice(0, limit)) {
      work.enqueuedAt = now;
      if (waiting.has(work.resource.id)) continue;
      enqueue(state, work);
      requeued += 1;
    }
  }

  let expired = 0;
  for (const [key, { expiresAt }] of state.keys) {
    if (expiresAt > now || expired === limit) continue;
    state.keys.delete(key);
    expired += 1;
  }
  return { requeued, deadLettered, expired };
}
