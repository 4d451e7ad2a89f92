import { setTimeout as delay } from 'node:timers/promises';
import {
  type BuildJob,
  type BuildOutcome,
  type CacheUse,
  type Call,
  isCygniError,
  type ResolvedImage,
} from '@cygni/core';
import { kanikoDestination } from '../job/arguments.ts';
import { jobManifest } from '../job/manifest.ts';
import { jobName } from '../job/names.ts';
import type { BuildSecrets } from '../job/secret.ts';
import { createKanikoLogReader, type KanikoFacts } from '../log/read-kaniko-log.ts';
import { type FailureEvidence, failureOf } from '../outcome/failure-of.ts';
import {
  cacheRepositoryOf,
  findBaseImages,
  obtainSecrets,
  withBaseImages,
} from './build-secrets.ts';
import { failureEvidence } from './failure-evidence.ts';
import { openLog, readKaniko, readProxy } from './follow-log.ts';
import { judge } from './judge.ts';
import { observe } from './observe.ts';
import { createLogRedactor } from './redact.ts';
import { keepSecretsFresh, putSecrets } from './renew-secret.ts';
import { resolvePushed } from './resolve-pushed.ts';
import type { RunContext } from './run-context.ts';
import type { OpenLog, RunLog } from './run-log.ts';
import type { Change } from './signal-change.ts';

/** After the container's end, or its push: how long its log may take to be read. */
const lastLogMs = 10_000;
const removalMs = 60_000;
/** A run that starts is looked at so often even if nothing is heard, since time alone ends what obstructs it. */
const startingMs = 500;

export interface Supervision {
  readonly job: BuildJob;
  readonly context: RunContext;
  readonly change: Change;
  readonly cancelled: AbortController;
  readonly runLog: RunLog;
  /** Where the run's log can be read again from the cluster. */
  readonly source: { open: OpenLog };
}

export interface EndedJob {
  readonly outcome: BuildOutcome;
  /** Resolves once the Job is gone, or could not be removed. */
  readonly removal: Promise<void>;
}

/** Makes or adopts the Job of an attempt, and stays with it until it has ended and is removed. */
export async function superviseJob(supervision: Supervision, call: Call): Promise<EndedJob> {
  const { job, context, change, runLog, source } = supervision;
  const { settings, registry, objects } = context;
  const cancelled = supervision.cancelled.signal;
  const name = jobName(job.buildId, job.attempt);
  const either = { ...call, signal: AbortSignal.any([call.signal, cancelled]) };

  if (job.resumed && !(await objects.getJob(name, either))) {
    const image = await resolvePushed(job, registry, 4, either);
    if (image) return pushedBefore(image);
  }
  const secrets = await obtainSecrets(job, registry, settings, either);
  const { throughProxy } = secrets;
  const wantedCache = cacheRepositoryOf(job, settings);
  const cacheRepository =
    wantedCache !== null && secrets.credentials.has(wantedCache) ? wantedCache : null;
  const registryProxy = throughProxy ? settings.registryProxy : null;
  const manifest = jobManifest({ job, cacheRepository, registryProxy, settings });
  // Meanwhile, so that reading the source delays no build whose node is busy for as long.
  const completed = findBaseImages(job, secrets, either).then((repositories) =>
    withBaseImages(secrets, repositories, registry, either),
  );
  completed.catch(() => {});
  // Not cut short by a cancellation: a Job that was made must be known.
  const made = await create();
  if ('outcome' in made) return made;
  const { uid } = made;

  const redactor = createLogRedactor(secrets.context);
  const stopped = new AbortController();
  const inner: Call = { ...call, signal: AbortSignal.any([call.signal, stopped.signal]) };
  const observer = observe(context.watches, name, change);
  const following = {
    connection: context.connection,
    namespace: settings.namespace,
    observer,
    change,
    storedLog: job.storedLog ?? null,
    isPushed: () => isPushed,
  };
  const reader = createKanikoLogReader({ destination: kanikoDestination(job, throughProxy) });
  let claim: string | null = null;
  let isPushed = false;

  try {
    const told = await untilCancelled(completed);
    await putSecrets(job, uid, told, context, redactor, call);
    source.open = openLog(following, redactor);
    background(keepSecretsFresh(job, uid, told, context, redactor, inner));
    if (throughProxy) background(readProxy(following, job, onPushed, inner));
    const logRead = readKaniko(
      following,
      { reader, redactor, runLog, onPushed: throughProxy ? () => {} : onPushed },
      inner,
    ).catch((error) => {
      if (!inner.signal.aborted) call.log.warn({ err: error, name }, 'a build log broke off');
    });
    const { outcome, isRunning } = await untilEnded(logRead);
    if (isPushed) return { outcome, removal: lastWords(logRead).then(finish).then(remove) };
    const removal = remove();
    if (isRunning) {
      await removal;
      // What was ended has its grace period to say its last words in.
      const grace = delay(settings.gracePeriodSeconds * 1000 + 2_000);
      background(Promise.race([logRead, grace]).then(finish));
    } else {
      finish();
    }
    return { outcome, removal };
  } catch (error) {
    finish();
    // On a closed pipeline the Job goes on for whoever adopts it.
    if (!call.signal.aborted) await remove();
    throw error;
  }

  /** What a cancelled run is told no longer matters, and its log still does. */
  async function untilCancelled(work: Promise<BuildSecrets>): Promise<BuildSecrets> {
    try {
      return await work;
    } catch (error) {
      if (cancelled.aborted && !call.signal.aborted) return secrets;
      throw error;
    }
  }

  async function create(): Promise<{ uid: string } | EndedJob> {
    try {
      return await objects.createJob(manifest, call);
    } catch (error) {
      if (!isCygniError(error) || call.signal.aborted) throw error;
      if (error.code === 'unavailable' || error.code === 'rate_limited') {
        return failed({ clusterUnreachable: true });
      }
      return failed({ refusal: { status: 0, message: error.message } });
    }
  }

  /** The process before this one removed the Job, and died before it could say that the build had succeeded. */
  function pushedBefore({ digest, sizeBytes }: ResolvedImage): EndedJob {
    runLog.end(
      '[the rest of the log was lost with the process that followed it; the image was pushed]',
    );
    const outcome: BuildOutcome = { status: 'succeeded', digest, sizeBytes, cache: null };
    return { outcome, removal: Promise.resolve() };
  }

  function failed(known: Partial<FailureEvidence>): EndedJob {
    runLog.end();
    const failure = failureOf(failureEvidence(job, settings, known));
    return { outcome: { status: 'failed', ...failure }, removal: Promise.resolve() };
  }

  function finish(): void {
    stopped.abort();
    observer.stop();
    runLog.end();
  }

  function background(work: Promise<void>): void {
    work.catch((error) => {
      if (!inner.signal.aborted) call.log.warn({ err: error, name }, 'part of a build broke off');
    });
  }

  function onPushed(digest: string): void {
    if (digest === claim) return;
    claim = digest;
    change.happened();
  }

  /** Has its own time: neither the end of the build nor of the pipeline may leave a Job behind. */
  function remove(): Promise<void> {
    const own: Call = { ...call, signal: AbortSignal.timeout(removalMs) };
    return objects.deleteJob(name, uid, own).catch((error) => {
      call.log.error({ err: error, name }, 'a Job could not be removed; its time to live will');
    });
  }

  async function untilEnded(
    logRead: Promise<void>,
  ): Promise<{ outcome: BuildOutcome; isRunning: boolean }> {
    const obstacle = { name: '', since: 0 };
    let refuted: string | null = null;
    const lastLog = { isAwaited: false, isRead: false };
    for (;;) {
      const seen = change.count;
      if (cancelled.aborted) {
        return { outcome: failure({ endedBy: 'cancel' }), isRunning: true };
      }
      if (claim !== null && claim !== refuted) {
        const claimed: string = claim;
        const image = await resolvePushed(job, registry, 0, inner);
        // Anybody can print a line: only what the registry has under the attempt's own tag was pushed.
        if (image && image.digest === claimed) {
          isPushed = true;
          change.happened();
          return { outcome: succeeded(image), isRunning: false };
        }
        refuted = claimed;
      }
      const standing = judge(observer.now(), settings.schedulingSeconds);
      if (standing.kind === 'built' || standing.kind === 'failed') {
        // Its log may still tell of the push, which ends the build before the log has settled.
        if (!lastLog.isAwaited) {
          lastLog.isAwaited = true;
          const read = withinLastLog(logRead).then(() => {
            lastLog.isRead = true;
            change.happened();
          });
          background(read);
        }
        if (!lastLog.isRead) {
          await change.since(seen, inner.signal);
          continue;
        }
        if (standing.kind === 'failed') return { outcome: failure({}), isRunning: false };
        const image = await resolvePushed(job, registry, 4, inner);
        return { outcome: image ? succeeded(image) : unconfirmed(), isRunning: false };
      }
      if (standing.kind === 'obstructed') {
        if (obstacle.name !== standing.obstacle) {
          Object.assign(obstacle, { name: standing.obstacle, since: performance.now() });
        }
        if (performance.now() - obstacle.since >= standing.graceMs) {
          const outcome = standing.obstacle === 'no pod' ? await whyNoPod() : failure({});
          if (outcome) return { outcome, isRunning: true };
          obstacle.since = performance.now();
        }
      } else {
        obstacle.name = '';
      }
      const isStarting = standing.kind === 'obstructed' || standing.isStarting;
      await change.since(seen, inner.signal, isStarting ? startingMs : undefined);
    }
  }

  /** The node holds back what a RUN step prints without a line feed until the container ends. */
  async function lastWords(logRead: Promise<void>): Promise<void> {
    // The proxy may tell of the push before kaniko's log has been read.
    if (!throughProxy && !reader.facts().ranCommands) return;
    await withinLastLog(logRead);
  }

  async function withinLastLog(logRead: Promise<void>): Promise<void> {
    const late = delay(lastLogMs, undefined, { signal: inner.signal });
    await Promise.race([logRead, late]).catch(() => {});
  }

  /** Null: it may still come. */
  async function whyNoPod(): Promise<BuildOutcome | null> {
    if (!(await objects.getJob(name, inner))) return failure({ jobVanished: true });
    const podRefusal = await objects.podRefusal(uid, inner);
    return podRefusal === null ? null : failure({ podRefusal });
  }

  function succeeded({ digest, sizeBytes }: ResolvedImage): BuildOutcome {
    return { status: 'succeeded', digest, sizeBytes, cache: cacheUse(reader.facts()) };
  }

  function cacheUse({ cache }: KanikoFacts): CacheUse | null {
    if (wantedCache === null) return null;
    return cacheRepository === null ? { hits: 0, misses: 0, degraded: true } : cache;
  }

  function unconfirmed(): BuildOutcome {
    const message = 'kaniko says that it has pushed, and the registry has no such image';
    return { status: 'failed', reason: 'registry_unavailable', message };
  }

  function failure(known: Partial<FailureEvidence>): BuildOutcome {
    const { job: seenJob, jobGone, pod } = observer.now();
    const evidence = failureEvidence(job, settings, {
      pod,
      job: seenJob && { conditions: seenJob.status?.conditions },
      jobVanished: jobGone,
      facts: reader.facts(),
      ...known,
    });
    return { status: 'failed', ...failureOf(evidence) };
  }
}
