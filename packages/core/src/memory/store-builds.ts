import type { RunName, StoredLog } from '../contracts/build-pipeline.ts';
import type {
  Accepted,
  BuildClaim,
  BuildFinish,
  Fence,
  Heartbeat,
  IdempotencyKey,
  LogAppend,
  NewBuild,
  Reservation,
} from '../contracts/store.ts';
import { CygniError } from '../errors.ts';
import type { Build } from '../model/build.ts';
import type { LogLine } from '../model/log.ts';
import { idSchema } from '../model/names.ts';
import type { Page, PageRequest } from '../model/page.ts';
import { hold, mustCover, openAccount, underLimit } from './store-accounts.ts';
import { isWaiting } from './store-dispatch.ts';
import {
  type BuildWork,
  checkCursor,
  isoNow,
  keyOf,
  listPage,
  record,
  rememberKey,
  replayOf,
  type StoreState,
} from './store-state.ts';
import {
  claim,
  finish,
  hasAttemptsLeft,
  hasEndedAlike,
  held,
  isFree,
  isOpen,
  prolong,
  recordReleased,
} from './store-work.ts';

export function buildMethods(state: StoreState) {
  const { builds } = state;

  function find(tenantId: string, id: string): BuildWork | undefined {
    const work = builds.get(id);
    return work?.resource.tenantId === tenantId ? work : undefined;
  }

  return {
    acceptBuild(
      { traceparent = null, ...build }: NewBuild,
      reservation: Reservation,
      idempotency: IdempotencyKey | null,
    ): Accepted<Build> {
      const { id, tenantId, sourceId, repository, machine, maximumAttempts } = build;
      const { amount, currency, limit } = reservation;
      const before = replayOf(state, tenantId, idempotency, find) ?? find(tenantId, id);
      if (before) return { resource: before.resource, replayed: true };
      if (!state.sources.has(keyOf(tenantId, sourceId))) {
        throw new CygniError('not_found', `no source ${sourceId}`);
      }
      const account = openAccount(state, tenantId, currency, limit);
      mustCover(underLimit(account, limit), amount);

      if (idempotency) rememberKey(state, tenantId, idempotency, id);
      const resource: Build = {
        ...build,
        tags: [...build.tags],
        state: 'QUEUED',
        attempt: 0,
        cancelRequested: false,
        image: null,
        cache: null,
        failure: null,
        currency,
        estimate: amount,
        cost: null,
        createdAt: isoNow(state),
        startedAt: null,
        finishedAt: null,
      };
      const work: BuildWork = {
        kind: 'build',
        resource,
        maximumAttempts,
        traceparent,
        countedAttempts: 0,
        cancelRequested: false,
        leaseUntil: null,
        dispatched: false,
        run: null,
        enqueuedAt: state.now(),
        log: [],
        archive: null,
        appended: new Set(),
      };
      builds.set(id, work);
      hold(state, id, account, reservation);
      const data = { sourceId, repository, machine, estimate: amount };
      record(state, { tenantId, type: 'build.accepted', subject: id, data });
      return { resource, replayed: false };
    },

    getBuild: (tenantId: string, id: string): Build | null => find(tenantId, id)?.resource ?? null,

    listBuilds(tenantId: string, page: PageRequest): Page<Build> {
      checkCursor(page, (id) => idSchema.safeParse(id).success);
      const own = [...builds.values()]
        .map(({ resource }) => resource)
        .filter((build) => build.tenantId === tenantId);
      return listPage(own, page, ({ createdAt, id }) => ({ createdAt, id }));
    },

    claimBuild(id: string, leaseSeconds: number): BuildClaim | null {
      const work = builds.get(id);
      if (!work || !isFree(state, work) || !hasAttemptsLeft(work) || isWaiting(work)) return null;
      work.resource = { ...work.resource, ...claim(state, work, leaseSeconds) };
      const { tenantId, sourceId } = work.resource;
      const source = state.sources.get(keyOf(tenantId, sourceId));
      if (!source) throw new CygniError('internal', 'a build without its source');
      const attemptsLeft = work.resource.maximumAttempts - work.countedAttempts;
      work.run ??= { attempt: work.resource.attempt, beganAt: state.now(), storedLog: null };
      const { beganAt, ...run } = work.run;
      const ageSeconds = (state.now() - beganAt) / 1000;
      const { resource: build, traceparent } = work;
      return { build, source, attemptsLeft, run: { ...run, ageSeconds }, traceparent };
    },

    heartbeatBuild: (fence: Fence, leaseSeconds: number): Heartbeat | null =>
      prolong(state, held(builds, fence), leaseSeconds),

    finishBuild(
      fence: Fence,
      { charge, alertAt = [], cache = null, ...end }: BuildFinish,
    ): boolean {
      const work = held(builds, fence);
      if (!work) return hasEndedAlike(builds, fence, end);
      finish(
        state,
        work,
        { ...end, cache },
        { charge, alertAt, reason: end.failure?.reason ?? null },
      );
      return true;
    },

    releaseBuild(fence: Fence, { countAttempt }: { readonly countAttempt: boolean }): boolean {
      const work = held(builds, fence);
      if (!work) return false;
      if (countAttempt) work.run = null;
      else work.countedAttempts -= 1;
      if (work.cancelRequested) {
        finish(state, work, { state: 'CANCELLED' }, { charge: 0, reason: 'cancelled' });
        return true;
      }
      work.resource = { ...work.resource, state: 'QUEUED' };
      work.leaseUntil = null;
      work.dispatched = false;
      work.enqueuedAt = state.now();
      recordReleased(state, work, countAttempt);
      return true;
    },

    cancelBuild(tenantId: string, id: string): Build | null {
      const work = find(tenantId, id);
      if (!work) return null;
      const { state: before } = work.resource;
      if (work.cancelRequested || (before !== 'QUEUED' && before !== 'RUNNING')) {
        return work.resource;
      }
      work.cancelRequested = true;
      work.resource = { ...work.resource, cancelRequested: true };
      if (before === 'QUEUED') {
        finish(state, work, { state: 'CANCELLED' }, { charge: 0, reason: 'cancelled' });
      } else {
        record(state, { tenantId, type: 'build.cancel_requested', subject: id, data: {} });
      }
      return work.resource;
    },

    findOrphanedRuns: (runs: readonly RunName[]): readonly RunName[] =>
      runs.filter(({ buildId, attempt }) => {
        const work = builds.get(buildId);
        return !work || !isOpen(work) || work.run?.attempt !== attempt;
      }),

    appendLog({ position, lines, ...fence }: LogAppend): boolean {
      const work = held(builds, fence);
      if (!work) return false;
      const key = `${fence.attempt}/${position}`;
      if (lines.length === 0 || work.appended.has(key)) return true;
      work.appended.add(key);
      if (work.run) work.run.storedLog = grown(work.run.storedLog, position, lines);
      for (const { time, text } of lines) {
        work.log.push({ sequence: work.log.length + 1, attempt: fence.attempt, time, text });
      }
      return true;
    },

    readLog(
      tenantId: string,
      buildId: string,
      { after, limit }: { readonly after: number; readonly limit: number },
    ): readonly LogLine[] {
      return find(tenantId, buildId)?.log.slice(after, after + limit) ?? [];
    },

    getLogArchive(tenantId: string, buildId: string): string | null {
      const archive = find(tenantId, buildId)?.archive;
      return archive?.leaseUntil === null ? archive.key : null;
    },
  };
}

function grown(
  stored: StoredLog | null,
  position: number,
  lines: LogAppend['lines'],
): StoredLog | null {
  const last = position + lines.length - 1;
  const [firstTime, lastTime] = [lines[0]?.time, lines.at(-1)?.time];
  if (firstTime === undefined || lastTime === undefined) return stored;
  if (stored && stored.position >= last) return stored;
  return { position: last, firstTime: stored?.firstTime ?? firstTime, lastTime };
}
