import type { BuildJob, BuildOutcome, BuildRun } from '../contracts/build-pipeline.ts';
import type { Call } from '../contracts/call.ts';
import type { Message } from '../contracts/queue.ts';
import type { BuildClaim, BuildFinish, Fence } from '../contracts/store.ts';
import { abortedError, CygniError, isCygniError } from '../errors.ts';
import { type Build, type BuiltImage, isPlatformFault } from '../model/build.ts';
import { repositoryOf } from '../model/names.ts';
import { lastWords, type PlatformContext } from './context.ts';
import { holdLease, type Lease } from './lease.ts';
import { pumpLog } from './log-pump.ts';
import { createRedactor } from './redact.ts';
import { retryWhileUnavailable } from './retry.ts';
import { settleOrAbort } from './settle-or-abort.ts';

const longestRetryDelayMs = 60_000;

/** The image that a run pushed and the registry confirmed, or why there is none. */
type Verdict =
  | { readonly status: 'succeeded'; readonly image: BuiltImage }
  | Extract<BuildOutcome, { status: 'failed' }>;

/** Takes one build from its message to its end, unless somebody else has it. */
export async function workOnBuild(
  context: PlatformContext,
  message: Message,
  call: Call,
): Promise<void> {
  const { store, settings, clock, metrics } = context;
  const claim = await store.claimBuild(message.id, settings.leaseSeconds, call);
  if (!claim) return;
  const { build } = claim;
  const fence: Fence = { id: build.id, attempt: build.attempt };
  if (build.attempt === 1)
    metrics.queueWait.observe(secondsBetween(build.createdAt, build.startedAt));
  call.log.info({ ...fence, tenantId: build.tenantId }, 'build claimed');
  metrics.active.inc({ state: 'running' });
  const startedAt = clock.monotonic();
  try {
    await using lease = holdLease(
      {
        leaseSeconds: settings.leaseSeconds,
        clock,
        heartbeat: (beat) => store.heartbeatBuild(fence, settings.leaseSeconds, beat),
      },
      call,
    );
    const verdict = await runBuild(context, claim, lease, call);
    const durationMs = clock.monotonic() - startedAt;
    await finish(context, claim, verdict, durationMs, { ...call, signal: lease.signal });
  } catch (error) {
    if (isCygniError(error, 'lease_lost')) {
      call.log.warn({ ...fence, err: error }, 'build given up: the claim was lost');
    } else if (call.signal.aborted) {
      await store.releaseBuild(fence, { countAttempt: false }, lastWords(call.log));
      call.log.info(fence, 'build given back for shutdown');
    } else {
      throw error;
    }
  } finally {
    metrics.active.dec({ state: 'running' });
    context.bell.ring(`log:${build.id}`);
  }
}

async function runBuild(
  context: PlatformContext,
  claim: BuildClaim,
  lease: Lease,
  outer: Call,
): Promise<Verdict> {
  const { pipeline, settings } = context;
  const { build } = claim;
  const call: Call = { ...outer, signal: lease.signal };
  const deadline = AbortSignal.timeout(build.timeoutSeconds * 1000);
  let run: BuildRun | undefined;
  try {
    const job = await prepareJob(context, claim, call);
    run = await pipeline.start(job, call);
    const pumped = pumpLog(
      run,
      { id: build.id, attempt: build.attempt },
      {
        ...context,
        redact: createRedactor([job.destination.credentials?.password ?? '']),
        maximumBytes: settings.maximumLogBytes,
      },
      call,
    );
    // Both are awaited; until then neither may count as unhandled.
    pumped.catch(() => {});
    const outcome = await waitForOutcome(run, { deadline, cancelled: lease.cancelled }, call);
    await pumped;
    return outcome.status === 'succeeded' ? await confirm(context, build, outcome, call) : outcome;
  } catch (error) {
    if (lease.signal.aborted) {
      // An adoptable run goes on for the next worker; any other must not outlive its claim.
      if (run && !pipeline.supports.adopt) await run.cancel(lastWords(outer.log));
      throw abortedError(lease.signal);
    }
    return failureOf(error, outer);
  }
}

async function prepareJob(
  context: PlatformContext,
  { build, source }: BuildClaim,
  call: Call,
): Promise<BuildJob> {
  const { registry, artifacts } = context;
  const repository = repositoryOf(build.tenantId, build.repository);
  const credentials = await retryWhileUnavailable(call.signal, async () => {
    await registry.ensureRepository(repository, call);
    return registry.credentials(repository, ['pull', 'push'], call);
  });
  return {
    buildId: build.id,
    attempt: build.attempt,
    tenantId: build.tenantId,
    source: {
      sizeBytes: source.sizeBytes,
      sha256: source.sha256,
      open: (opened) => artifacts.get(source.key, opened),
      presign: (seconds, asked) => artifacts.presignGet(source.key, seconds, asked),
    },
    dockerfile: build.dockerfile,
    target: build.target,
    buildArguments: build.buildArguments,
    machine: build.machine,
    timeoutSeconds: build.timeoutSeconds,
    destination: { host: registry.host, repository, insecure: registry.insecure, credentials },
    tags: build.tags,
  };
}

/** Waits for the run, and ends it at its deadline or when a user cancels it. */
async function waitForOutcome(
  run: BuildRun,
  stop: { readonly deadline: AbortSignal; readonly cancelled: AbortSignal },
  call: Call,
): Promise<BuildOutcome> {
  const either = AbortSignal.any([stop.deadline, stop.cancelled]);
  let cancelling: Promise<void> | undefined;
  const cancel = () => {
    cancelling ??= run.cancel(call);
    cancelling.catch(() => {});
  };
  if (either.aborted) cancel();
  either.addEventListener('abort', cancel, { once: true });
  try {
    const outcome = await settleOrAbort(run.wait(call), call.signal);
    await cancelling;
    if (outcome.status === 'failed' && outcome.reason === 'cancelled' && stop.deadline.aborted) {
      return { status: 'failed', reason: 'deadline', message: 'the build ran into its timeout' };
    }
    return outcome;
  } finally {
    either.removeEventListener('abort', cancel);
  }
}

/** Trusts no digest that the registry does not confirm. */
async function confirm(
  { registry, settings }: PlatformContext,
  build: Build,
  outcome: Extract<BuildOutcome, { status: 'succeeded' }>,
  call: Call,
): Promise<Verdict> {
  const repository = repositoryOf(build.tenantId, build.repository);
  const { sizeBytes } = await retryWhileUnavailable(call.signal, () =>
    registry.resolve(repository, outcome.digest, call),
  );
  if (sizeBytes > settings.maximumImageBytes) {
    const message = `the image has ${sizeBytes} bytes; ${settings.maximumImageBytes} are allowed`;
    return { status: 'failed', reason: 'user_error', message };
  }
  return { status: 'succeeded', image: { repository, digest: outcome.digest, sizeBytes } };
}

function failureOf(error: unknown, call: Call): Verdict {
  call.log.error({ err: error }, 'build failed for a reason of the platform');
  const unavailable = isCygniError(error, 'unavailable') || isCygniError(error, 'timeout');
  return {
    status: 'failed',
    reason: 'platform_error',
    message: unavailable ? 'a part of the platform was out of reach' : 'the platform failed',
  };
}

async function finish(
  context: PlatformContext,
  { build, attemptsLeft }: BuildClaim,
  verdict: Verdict,
  durationMs: number,
  call: Call,
): Promise<void> {
  const { store, metrics } = context;
  const fence: Fence = { id: build.id, attempt: build.attempt };
  const fault = verdict.status === 'failed' && isPlatformFault(verdict.reason);
  if (fault && attemptsLeft > 0) {
    await context.clock.sleep(retryDelay(context, build.attempt), call.signal);
    await retryWhileUnavailable(call.signal, () =>
      store.releaseBuild(fence, { countAttempt: true }, call),
    );
    call.log.warn({ ...fence, reason: verdict.reason }, 'build is tried again');
    return;
  }
  const result = finishOf(context, build, verdict, durationMs);
  const kept = await retryWhileUnavailable(call.signal, () =>
    store.finishBuild(fence, result, call),
  );
  if (!kept) throw new CygniError('lease_lost', 'another worker has the claim');
  const outcome = { result: verdict.status, error_type: result.failure?.reason ?? 'none' };
  metrics.builds.inc(outcome);
  metrics.buildDuration.observe({ result: verdict.status }, durationMs / 1000);
  call.log.info({ ...fence, state: result.state, durationMs }, 'build finished');
}

function retryDelay({ settings }: PlatformContext, attempt: number): number {
  const delay = Math.min(settings.retryDelayMs * 2 ** (attempt - 1), longestRetryDelayMs);
  return delay * (0.5 + Math.random() / 2);
}

function finishOf(
  { budget }: PlatformContext,
  build: Build,
  verdict: Verdict,
  durationMs: number,
): BuildFinish {
  const usage = { kind: 'build', machine: build.machine, durationMs } as const;
  if (verdict.status === 'succeeded') {
    const charge = budget.charge({ ...usage, imageBytes: verdict.image.sizeBytes });
    return { state: 'SUCCEEDED', image: verdict.image, failure: null, charge };
  }
  const platformFault = isPlatformFault(verdict.reason);
  return {
    state: stateOf(verdict.reason),
    image: null,
    failure: { reason: verdict.reason, message: verdict.message, platformFault },
    charge: platformFault ? 0 : budget.charge({ ...usage, imageBytes: 0 }),
  };
}

function stateOf(reason: Extract<Verdict, { status: 'failed' }>['reason']): BuildFinish['state'] {
  if (reason === 'cancelled') return 'CANCELLED';
  return reason === 'deadline' ? 'TIMED_OUT' : 'FAILED';
}

function secondsBetween(from: string, to: string | null): number {
  return to === null ? 0 : Math.max(0, Date.parse(to) - Date.parse(from)) / 1000;
}
