import type { Call } from '../contracts/call.ts';
import type { Message } from '../contracts/queue.ts';
import type { BuildClaim, BuildFinish, Fence } from '../contracts/store.ts';
import { CygniError, isCygniError } from '../errors.ts';
import { type Build, isPlatformFault } from '../model/build.ts';
import { inBuildSpan } from './build-spans.ts';
import { lastWords, type PlatformContext } from './context.ts';
import { holdLease } from './lease.ts';
import { retryWhileUnavailable } from './retry.ts';
import { type BuildVerdict, runBuild, runOf } from './run-build.ts';
import { withFields } from './with-fields.ts';

const longestRetryDelayMs = 60_000;

/** Takes one build from its message to its end, unless somebody else has it. */
export async function workOnBuild(
  context: PlatformContext,
  message: Message,
  outer: Call,
): Promise<void> {
  const { store, settings, clock, metrics } = context;
  const claim = await store.claimBuild(message.id, settings.leaseSeconds, outer);
  if (!claim) return;
  // Each claim and each end makes room for another build.
  context.bell.ring('outbox');
  const { build } = claim;
  const fence: Fence = { id: build.id, attempt: build.attempt };
  const fields = { buildId: build.id, attempt: build.attempt, tenantId: build.tenantId };
  const call: Call = { ...outer, log: withFields(outer.log, fields) };
  if (build.attempt === 1)
    metrics.queueWait.observe(secondsBetween(build.createdAt, build.startedAt));
  call.log.info({}, 'build claimed');
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
    await inBuildSpan(context, claim, async () => {
      const verdict = await runBuild(context, claim, lease, call);
      const durationMs = runOf(context, claim).ageSeconds * 1000 + clock.monotonic() - startedAt;
      await finish(context, claim, verdict, durationMs, { ...call, signal: lease.signal });
      return verdict;
    });
  } catch (error) {
    if (isCygniError(error, 'lease_lost')) {
      call.log.warn({ err: error }, 'build given up: the claim was lost');
    } else if (call.signal.aborted) {
      await store.releaseBuild(fence, { countAttempt: false }, lastWords(call.log));
      call.log.info({}, 'build given back for shutdown');
    } else {
      throw error;
    }
  } finally {
    metrics.active.dec({ state: 'running' });
    context.bell.ring(`log:${build.id}`);
    context.bell.ring('outbox');
    context.bell.ring('ended');
  }
}

async function finish(
  context: PlatformContext,
  { build, attemptsLeft }: BuildClaim,
  verdict: BuildVerdict,
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
    call.log.warn({ reason: verdict.reason }, 'build is tried again');
    return;
  }
  const result = finishOf(context, build, verdict, durationMs);
  const kept = await retryWhileUnavailable(call.signal, () =>
    store.finishBuild(fence, result, call),
  );
  if (!kept) throw new CygniError('lease_lost', 'another worker has the claim');
  const outcome = { result: verdict.status, error_type: result.failure?.reason ?? 'none' };
  metrics.builds.inc(outcome);
  metrics.buildDuration.observe({ phase: 'total', result: verdict.status }, durationMs / 1000);
  call.log.info({ state: result.state, durationMs }, 'build finished');
}

function retryDelay({ settings }: PlatformContext, attempt: number): number {
  const delay = Math.min(settings.retryDelayMs * 2 ** (attempt - 1), longestRetryDelayMs);
  return delay * (0.5 + Math.random() / 2);
}

function finishOf(
  { budget }: PlatformContext,
  build: Build,
  verdict: BuildVerdict,
  durationMs: number,
): BuildFinish {
  const usage = { kind: 'build', machine: build.machine, durationMs } as const;
  const { alertAt } = budget;
  if (verdict.status === 'succeeded') {
    const charge = budget.charge({ ...usage, imageBytes: verdict.image.sizeBytes });
    const { image, cache } = verdict;
    return { state: 'SUCCEEDED', image, cache, failure: null, charge, alertAt };
  }
  const platformFault = isPlatformFault(verdict.reason);
  return {
    state: stateOf(verdict.reason),
    image: null,
    failure: { reason: verdict.reason, message: verdict.message, platformFault },
    charge: platformFault ? 0 : budget.charge({ ...usage, imageBytes: 0 }),
    alertAt,
  };
}

function stateOf(
  reason: Extract<BuildVerdict, { status: 'failed' }>['reason'],
): BuildFinish['state'] {
  if (reason === 'cancelled') return 'CANCELLED';
  return reason === 'deadline' ? 'TIMED_OUT' : 'FAILED';
}

function secondsBetween(from: string, to: string | null): number {
  return to === null ? 0 : Math.max(0, Date.parse(to) - Date.parse(from)) / 1000;
}
