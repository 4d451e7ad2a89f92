import type { Fence, Store } from '@cygni/core';
import type { Trace, TraceEvent } from '../trace.ts';

/** The store, with each claim that it gave and each fenced write that it took on record. */
export function traceStore(store: Store, trace: Trace): Store {
  async function fenced<Answer>(
    operation: NonNullable<TraceEvent['operation']>,
    { id, attempt }: Fence,
    write: () => Promise<Answer>,
  ): Promise<Answer> {
    const askedAt = trace.now();
    const answer = await write();
    const taken = answer !== false && answer !== null;
    if (taken) trace.record({ event: 'wrote', operation, buildId: id, attempt, askedAt });
    return answer;
  }

  return {
    ...store,
    async claimBuild(id, leaseSeconds, call) {
      const askedAt = trace.now();
      const claim = await store.claimBuild(id, leaseSeconds, call);
      if (claim) {
        const { attempt } = claim.build;
        trace.record({ event: 'claimed', buildId: id, attempt, askedAt });
      }
      return claim;
    },
    heartbeatBuild: (fence, leaseSeconds, call) =>
      fenced('heartbeat', fence, () => store.heartbeatBuild(fence, leaseSeconds, call)),
    appendLog: (append, call) => fenced('log', append, () => store.appendLog(append, call)),
    finishBuild: (fence, finish, call) =>
      fenced('finish', fence, () => store.finishBuild(fence, finish, call)),
    async releaseBuild(fence, options, call) {
      // Before it is asked for: should this process die on the way, the claim may be gone all the same.
      const { id: buildId, attempt } = fence;
      trace.record({ event: 'releasing', buildId, attempt, askedAt: trace.now() });
      return fenced('release', fence, () => store.releaseBuild(fence, options, call));
    },
  };
}
