import type { PruneOptions, PruneResult } from '../contracts/store.ts';
import type { Build } from '../model/build.ts';
import { isBeingArchived } from './store-log-archives.ts';
import {
  type BuildWork,
  discard,
  keyOf,
  record,
  type StoreState,
  type Work,
} from './store-state.ts';
import { isOpen } from './store-work.ts';

/** Removes what has been kept long enough and is not needed. */
export function pruneState(
  state: StoreState,
  { workSeconds, sourceSeconds, eventSeconds, limit }: PruneOptions,
): PruneResult {
  const before = (seconds: number) => state.now() - seconds * 1000;
  const over = ({ resource }: Work) =>
    resource.finishedAt !== null && Date.parse(resource.finishedAt) < before(workSeconds);

  function tell(kind: string, gone: readonly { readonly tenantId: string }[]): void {
    for (const [tenantId, all] of Map.groupBy(gone, (each) => each.tenantId)) {
      const data = { [kind]: all.length };
      record(state, { tenantId, type: 'retention.pruned', subject: tenantId, data });
    }
  }

  const builds = [...state.builds.values()]
    .filter((work) => over(work) && !isBeingArchived(state, work))
    .filter(({ resource }) => !isNeeded(state, resource, before(workSeconds)))
    .slice(0, limit);
  for (const work of builds) removeBuild(state, work);

  const deployments = [...state.deployments.values()].filter(over).slice(0, limit);
  for (const { resource } of deployments) {
    state.deployments.delete(resource.id);
    state.holds.delete(resource.id);
  }

  const used = new Set(
    [...state.builds.values()].map(({ resource }) => keyOf(resource.tenantId, resource.sourceId)),
  );
  const sources = [...state.sources]
    .filter(([key, { createdAt }]) => {
      return Date.parse(createdAt) < before(sourceSeconds) && !used.has(key);
    })
    .slice(0, limit);
  for (const [key, source] of sources) {
    state.sources.delete(key);
    discard(state, source.key);
  }

  const old = state.events.filter(({ createdAt }) => {
    return Date.parse(createdAt) < before(eventSeconds);
  });
  const events = new Set(old.slice(0, limit));
  state.events = state.events.filter((event) => !events.has(event));

  const resourceOf = ({ resource }: Work) => resource;
  tell('builds', builds.map(resourceOf));
  tell('deployments', deployments.map(resourceOf));
  tell(
    'sources',
    sources.map(([, source]) => source),
  );
  return {
    builds: builds.length,
    deployments: deployments.length,
    sources: sources.length,
    events: events.size,
  };
}

/** Something may still return to what it built. */
function isNeeded(state: StoreState, build: Build, since: number): boolean {
  for (const { service, revisions, replacedAt } of state.services.values()) {
    if (service.tenantId !== build.tenantId) continue;
    for (const { number, buildId, digest, createdAt, healthyAt } of revisions) {
      if (buildId !== build.id && digest !== build.image?.digest) continue;
      const lastNeeded = Math.max(
        Date.parse(createdAt),
        healthyAt === null ? 0 : Date.parse(healthyAt),
        replacedAt.get(number) ?? 0,
      );
      const open = [...state.deployments.values()].some(
        (work) =>
          isOpen(work) &&
          work.resource.tenantId === service.tenantId &&
          work.resource.service === service.name &&
          work.resource.revision === number,
      );
      if (open || lastNeeded >= since) return true;
      if (number === service.stableRevision || number === service.previousRevision) return true;
    }
  }
  return false;
}

function removeBuild(state: StoreState, { resource, archive }: BuildWork): void {
  if (archive) discard(state, archive.key);
  state.builds.delete(resource.id);
  state.holds.delete(resource.id);
  for (const { revisions } of state.services.values()) {
    for (const [index, revision] of revisions.entries()) {
      if (revision.buildId === resource.id) revisions[index] = { ...revision, buildId: null };
    }
  }
}
