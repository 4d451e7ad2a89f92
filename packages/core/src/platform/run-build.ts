import type { BuildJob, BuildOutcome, BuildRun } from '../contracts/build-pipeline.ts';
import type { Call } from '../contracts/call.ts';
import type { RegistryCredentials } from '../contracts/registry.ts';
import type { BuildClaim, UnfinishedRun } from '../contracts/store.ts';
import { abortedError, isCygniError } from '../errors.ts';
import type { Build, BuiltImage, CacheUse } from '../model/build.ts';
import { repositoryOf } from '../model/names.ts';
import { createRedactor } from '../redaction/create-redactor.ts';
import { requireReadable } from '../sealing/variables.ts';
import { inPhase } from './build-spans.ts';
import { lastWords, type PlatformContext } from './context.ts';
import type { Lease } from './lease.ts';
import { pumpLog } from './log-pump.ts';
import { retryWhileUnavailable } from './retry.ts';
import { settleOrAbort } from './settle-or-abort.ts';

/** The image that a run pushed and the registry confirmed, or why there is none. */
export type BuildVerdict =
  | { readonly status: 'succeeded'; readonly image: BuiltImage; readonly cache: CacheUse | null }
  | Extract<BuildOutcome, { status: 'failed' }>;

/**
 * Runs one attempt of a build under its lease.
 * @throws `lease_lost`, or what the outer signal aborted with; the run is then cancelled unless another worker can adopt it
 */
export async function runBuild(
  context: PlatformContext,
  claim: BuildClaim,
  lease: Lease,
  outer: Call,
): Promise<BuildVerdict> {
  const { pipeline, settings } = context;
  const { build } = claim;
  const call: Call = { ...outer, signal: lease.signal };
  const { ageSeconds, storedLog } = runOf(context, claim);
  const leftMs = Math.max(0, Math.ceil((build.timeoutSeconds - ageSeconds) * 1000));
  const deadline = AbortSignal.timeout(leftMs);
  let run: BuildRun | undefined;
  try {
    const job = await inPhase(context, 'prepare', () => prepareJob(context, claim, call));
    const ended = () => runToItsEnd(job);
    const { outcome, logStored } = await inPhase(context, 'build', ended, (each) =>
      isFailed(each.outcome),
    );
    // The image is there while the last lines of the log may still be on their way.
    const accepted = accept(context, build, outcome, call);
    accepted.catch(() => {});
    await logStored;
    return await accepted;
  } catch (error) {
    if (lease.signal.aborted) {
      // An adoptable run goes on for the next worker; any other must not outlive its claim.
      if (run && !pipeline.supports.adopt) await run.cancel(lastWords(outer.log));
      throw abortedError(lease.signal);
    }
    return failureOf(error, outer);
  }

  /** Starts or adopts it, and has its log stored. */
  async function runToItsEnd(job: BuildJob) {
    run = await pipeline.start(job, call);
    const logStored = pumpLog(
      run,
      { id: build.id, attempt: build.attempt },
      {
        ...context,
        redact: createRedactor([job.destination.credentials?.password ?? '']).openStream(),
        maximumBytes: settings.maximumLogBytes,
        after: storedLog?.position ?? 0,
      },
      call,
    );
    // Awaited by the caller; until then it may not count as unhandled.
    logStored.catch(() => {});
    const outcome = await waitForOutcome(run, { deadline, cancelled: lease.cancelled }, call);
    return { outcome, logStored };
  }
}

function isFailed({ status }: BuildOutcome | BuildVerdict): boolean {
  return status === 'failed';
}

/** The run that the claim goes on with: the one that was begun before it where the pipeline finds it again, else its own. */
export function runOf({ pipeline }: PlatformContext, { build, run }: BuildClaim): UnfinishedRun {
  return pipeline.supports.adopt ? run : { attempt: build.attempt, ageSeconds: 0, storedLog: null };
}

async function prepareJob(
  context: PlatformContext,
  claim: BuildClaim,
  call: Call,
): Promise<BuildJob> {
  const { registry, artifacts } = context;
  const { build, source } = claim;
  const { attempt, storedLog } = runOf(context, claim);
  const repository = repositoryOf(build.tenantId, build.repository);
  await retryWhileUnavailable(call.signal, () => registry.ensureRepository(repository, call));
  const credentials = await obtainCredentials(context, repository, call);
  return {
    buildId: build.id,
    attempt,
    resumed: attempt !== build.attempt,
    storedLog,
    tenantId: build.tenantId,
    source: {
      sizeBytes: source.sizeBytes,
      sha256: source.sha256,
      open: (opened) => artifacts.get(source.key, opened),
      presign: (seconds, asked) => artifacts.presignGet(source.key, seconds, asked),
    },
    dockerfile: build.dockerfile,
    target: build.target,
    buildArguments: requireReadable(build.buildArguments),
    machine: build.machine,
    timeoutSeconds: build.timeoutSeconds,
    destination: { host: registry.host, repository, insecure: registry.insecure, credentials },
    renewCredentials(refused, asked) {
      registry.forgetCredentials?.(refused);
      return obtainCredentials(context, repository, asked);
    },
  };
}

async function obtainCredentials(
  { registry, metrics }: PlatformContext,
  repository: string,
  call: Call,
): Promise<RegistryCredentials> {
  const credentials = await retryWhileUnavailable(call.signal, () =>
    registry.credentials(repository, ['pull', 'push'], call),
  );
  const { expiresAt } = credentials;
  if (expiresAt !== null) metrics.registryTokenExpiry.set(Date.parse(expiresAt) / 1000);
  return credentials;
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

async function accept(
  context: PlatformContext,
  build: Build,
  outcome: BuildOutcome,
  call: Call,
): Promise<BuildVerdict> {
  if (outcome.status === 'failed') return outcome;
  const confirmed = () => confirm(context, build, outcome, call);
  const verdict = await inPhase(context, 'verify', confirmed, isFailed);
  if (verdict.status === 'failed') return verdict;
  const tagged = () => setTags(context, build, verdict.image, call);
  return (await inPhase(context, 'tag', tagged, (failure) => failure !== null)) ?? verdict;
}

/** Trusts no digest that the registry does not confirm. */
async function confirm(
  { registry, settings }: PlatformContext,
  build: Build,
  outcome: Extract<BuildOutcome, { status: 'succeeded' }>,
  call: Call,
): Promise<BuildVerdict> {
  const repository = repositoryOf(build.tenantId, build.repository);
  const { sizeBytes } = await retryWhileUnavailable(call.signal, () =>
    registry.resolve(repository, outcome.digest, call),
  );
  if (sizeBytes > settings.maximumImageBytes) {
    const message = `the image has ${sizeBytes} bytes; ${settings.maximumImageBytes} are allowed`;
    return { status: 'failed', reason: 'user_error', message };
  }
  const { digest, cache } = outcome;
  return { status: 'succeeded', image: { repository, digest, sizeBytes }, cache };
}

/** The user's tags go on the confirmed digest only, so that none ever points at a build that failed. Null: all are set. */
async function setTags(
  { registry }: PlatformContext,
  build: Build,
  { repository, digest }: BuiltImage,
  call: Call,
): Promise<Extract<BuildVerdict, { status: 'failed' }> | null> {
  for (const tag of build.tags) {
    try {
      await retryWhileUnavailable(call.signal, () => registry.tag(repository, digest, tag, call));
    } catch (error) {
      if (!isCygniError(error, 'conflict')) throw error;
      const message = `the tag ${tag} of ${build.repository} is taken, and tags cannot be moved there: build with another tag`;
      return { status: 'failed', reason: 'user_error', message };
    }
  }
  return null;
}

function failureOf(error: unknown, call: Call): BuildVerdict {
  call.log.error({ err: error }, 'build failed for a reason of the platform');
  return { status: 'failed', reason: 'platform_error', message: messageOf(error) };
}

function messageOf(error: unknown): string {
  // Here the owner may be able to help: by giving the value of a build argument again.
  if (isCygniError(error, 'integrity')) return error.message;
  const unavailable = isCygniError(error, 'unavailable') || isCygniError(error, 'timeout');
  return unavailable ? 'a part of the platform was out of reach' : 'the platform failed';
}
