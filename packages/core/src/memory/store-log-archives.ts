import { randomUUID } from 'node:crypto';
import type { LogArchive } from '../contracts/store.ts';
import { type BuildWork, discard, record, type StoreState } from './store-state.ts';
import { isOpen } from './store-work.ts';

/** Takes a log that nobody archives at the moment. */
export function beginArchive(
  state: StoreState,
  leaseSeconds: number,
): { readonly work: BuildWork; readonly archive: LogArchive } | null {
  const now = state.now();
  const work = [...state.builds.values()].find((each) => {
    const leased = each.archive !== null && (each.archive.leaseUntil ?? now) >= now;
    return !isOpen(each) && each.log.length > 0 && !leased;
  });
  if (!work) return null;
  if (work.archive) discard(state, work.archive.key);
  const { id: buildId, tenantId } = work.resource;
  const key = `${tenantId}/logs/${buildId}/${randomUUID()}.ndjson.gz`;
  work.archive = { key, leaseUntil: now + leaseSeconds * 1000 };
  const lines = [...work.log];
  return {
    work,
    archive: {
      tenantId,
      buildId,
      key,
      lines: (async function* () {
        yield* lines;
      })(),
    },
  };
}

/** Drops the lines, unless another key has taken the place of this one meanwhile. */
export function completeArchive(state: StoreState, work: BuildWork, key: string): void {
  const { id, tenantId } = work.resource;
  if (work.archive?.key !== key || !state.builds.has(id)) {
    discard(state, key);
    return;
  }
  work.archive = { key, leaseUntil: null };
  work.log = [];
  record(state, { tenantId, type: 'build.log_archived', subject: id, data: { key } });
}

/** Whether somebody is writing the build's log. */
export function isBeingArchived(state: StoreState, { archive }: BuildWork): boolean {
  return archive !== null && archive.leaseUntil !== null && archive.leaseUntil >= state.now();
}
