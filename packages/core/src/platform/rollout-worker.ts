import type { Call } from '../contracts/call.ts';
import type { Instance, RevisionKey, ServiceObservation } from '../contracts/deployer.ts';
import type { Message } from '../contracts/queue.ts';
import type { DeploymentClaim, DeploymentFinish, Fence } from '../contracts/store.ts';
import { CygniError, isCygniError } from '../errors.ts';
import type { Evidence, Revision } from '../model/deployment.ts';
import { lastWords, type PlatformContext } from './context.ts';
import { deployableRevision } from './deployable-revision.ts';
import { collectEvidence } from './evidence.ts';
import { holdLease, type Lease } from './lease.ts';
import { retryWhileUnavailable } from './retry.ts';

/** Why a revision is sick. */
interface Verdict {
  readonly rule: Evidence['rule'];
  readonly message: string;
}

/** Takes one deployment from its message to its end, unless somebody else has it. */
export async function workOnDeployment(
  context: PlatformContext,
  message: Message,
  call: Call,
): Promise<void> {
  const { store, settings, clock } = context;
  const claim = await store.claimDeployment(message.id, settings.leaseSeconds, call);
  if (!claim) return;
  const fence: Fence = { id: claim.deployment.id, attempt: claim.deployment.attempt };
  call.log.info({ ...fence, service: claim.service.name }, 'deployment claimed');
  try {
    await using lease = holdLease(
      {
        leaseSeconds: settings.leaseSeconds,
        clock,
        heartbeat: (beat) => store.heartbeatDeployment(fence, settings.leaseSeconds, beat),
      },
      call,
    );
    await rollOut(context, claim, lease, { ...call, signal: lease.signal });
  } catch (error) {
    if (isCygniError(error, 'lease_lost')) {
      call.log.warn({ ...fence, err: error }, 'deployment given up: the claim was lost');
    } else if (call.signal.aborted) {
      await store.releaseDeployment(fence, { countAttempt: false }, lastWords(call.log));
      call.log.info(fence, 'deployment given back for shutdown');
    } else {
      // The platform is at fault; the lease runs out and the sweep decides about another attempt.
      throw error;
    }
  } finally {
    context.bell.ring(`deployment:${fence.id}`);
  }
}

async function rollOut(
  context: PlatformContext,
  claim: DeploymentClaim,
  lease: Lease,
  call: Call,
): Promise<void> {
  const { deployer } = context;
  const { deployment, revision, stable } = claim;
  const key = { tenantId: revision.tenantId, service: revision.service };

  let sick: Verdict | 'cancelled' | undefined = await applyRevision(context, claim, call);
  if (!sick) {
    await advance(context, claim, 'WATCHING', call);
    sick = await watchUntilHealthy(context, claim, lease, call);
  }
  if (!sick) {
    await deployer.route(key, [{ revision: revision.number, percent: 100 }], call);
    await advance(context, claim, 'BAKING', call);
    sick = await bake(context, claim, lease, call);
  }
  if (sick) {
    await retreat(context, claim, sick, call);
    return;
  }
  // Before the end is recorded: from then on a rollback may start the replaced revision again.
  if (stable && stable.number !== deployment.revision) {
    await deployer.remove({ ...key, revision: stable.number }, call);
  }
  const { url } = await deployer.observe(key, call);
  const charge = context.budget.charge({ kind: 'deployment' });
  await finish(context, claim, { state: 'SUCCEEDED', evidence: null, charge, url }, call);
}

async function applyRevision(
  context: PlatformContext,
  claim: DeploymentClaim,
  call: Call,
): Promise<Verdict | undefined> {
  await advance(context, claim, 'APPLYING', call);
  try {
    const deployable = await deployableRevision(context, claim.revision, call);
    await retryWhileUnavailable(call.signal, () => context.deployer.apply(deployable, call));
    return undefined;
  } catch (error) {
    if (call.signal.aborted) throw error;
    // Lack of capacity or an outage is not a bad release: the deployment is tried again.
    if (!isCygniError(error) || error.retryable) throw error;
    return { rule: 'apply_failed', message: error.message };
  }
}

async function watchUntilHealthy(
  context: PlatformContext,
  { deployment, revision }: DeploymentClaim,
  lease: Lease,
  call: Call,
): Promise<Verdict | 'cancelled' | undefined> {
  const { clock, settings } = context;
  const deadline = clock.monotonic() + deployment.rollout.deadlineSeconds * 1000;
  for (;;) {
    const instances = await instancesOf(context, revision, call);
    if (lease.cancelled.aborted) return 'cancelled';
    const exited = instances.find((instance) => instance.state === 'exited');
    if (exited) return { rule: 'instance_exited', message: `instance ended: ${exited.reason}` };
    if (instances.some((instance) => instance.health === 'unhealthy')) {
      return { rule: 'health_check_failed', message: lastProbe(instances) };
    }
    const healthy = instances.every((instance) => instance.health === 'healthy');
    if (instances.length > 0 && healthy) return undefined;
    if (clock.monotonic() >= deadline) {
      const message = `not healthy after ${deployment.rollout.deadlineSeconds} s`;
      return { rule: 'deadline_exceeded', message };
    }
    await pause(context, settings.observeIntervalMs, call);
  }
}

async function bake(
  context: PlatformContext,
  { deployment, revision }: DeploymentClaim,
  lease: Lease,
  call: Call,
): Promise<Verdict | 'cancelled' | undefined> {
  const { clock, settings } = context;
  const until = clock.monotonic() + deployment.rollout.bakeSeconds * 1000;
  while (clock.monotonic() < until) {
    const instances = await instancesOf(context, revision, call);
    if (lease.cancelled.aborted) return 'cancelled';
    const exited = instances.find((instance) => instance.state === 'exited');
    if (exited || instances.length === 0) {
      const reason = exited?.reason ?? 'it is gone';
      return { rule: 'bake_failed', message: `instance ended with the traffic on it: ${reason}` };
    }
    if (instances.some((instance) => instance.health === 'unhealthy')) {
      return { rule: 'bake_failed', message: lastProbe(instances) };
    }
    await pause(context, Math.min(settings.observeIntervalMs, until - clock.monotonic()), call);
  }
  return undefined;
}

/** Saves the evidence, gives the traffic back to the stable revision, and removes the sick one: in this order. */
async function retreat(
  context: PlatformContext,
  claim: DeploymentClaim,
  verdict: Verdict | 'cancelled',
  call: Call,
): Promise<void> {
  const { deployer, budget, metrics } = context;
  const { revision, stable } = claim;
  const key = { tenantId: revision.tenantId, service: revision.service };
  const charge = budget.charge({ kind: 'deployment' });
  const evidence =
    verdict === 'cancelled' ? null : await collectEvidence(context, claim, verdict, charge, call);

  if (stable) await returnTraffic(context, stable, call);
  const { url } = await deployer.observe(key, call);
  const state =
    verdict === 'cancelled'
      ? 'CANCELLED'
      : stable && !isSame(stable, revision)
        ? 'ROLLED_BACK'
        : 'FAILED';
  await finish(context, claim, { state, evidence, charge, url }, call);
  if (verdict !== 'cancelled' && state === 'ROLLED_BACK') {
    metrics.rollbacks.inc({ reason: verdict.rule });
  }
  if (!stable || !isSame(stable, revision)) {
    const sick: RevisionKey = { ...key, revision: revision.number };
    await deployer.remove(sick, call);
  }
}

async function returnTraffic(
  context: PlatformContext,
  stable: Revision,
  call: Call,
): Promise<void> {
  const key = { tenantId: stable.tenantId, service: stable.service };
  const deployable = await deployableRevision(context, stable, call);
  await retryWhileUnavailable(call.signal, () => context.deployer.apply(deployable, call));
  await context.deployer.route(key, [{ revision: stable.number, percent: 100 }], call);
}

async function instancesOf(
  { deployer }: PlatformContext,
  revision: Revision,
  call: Call,
): Promise<readonly Instance[]> {
  const key = { tenantId: revision.tenantId, service: revision.service };
  const observation: ServiceObservation = await retryWhileUnavailable(call.signal, () =>
    deployer.observe(key, call),
  );
  return observation.instances.filter((instance) => instance.revision === revision.number);
}

async function advance(
  { store }: PlatformContext,
  { deployment }: DeploymentClaim,
  phase: 'APPLYING' | 'WATCHING' | 'BAKING',
  call: Call,
): Promise<void> {
  const fence: Fence = { id: deployment.id, attempt: deployment.attempt };
  const kept = await retryWhileUnavailable(call.signal, () =>
    store.advanceDeployment(fence, phase, call),
  );
  if (!kept) throw new CygniError('lease_lost', 'another worker has the claim');
}

async function finish(
  { store }: PlatformContext,
  { deployment }: DeploymentClaim,
  result: DeploymentFinish,
  call: Call,
): Promise<void> {
  const fence: Fence = { id: deployment.id, attempt: deployment.attempt };
  const kept = await retryWhileUnavailable(call.signal, () =>
    store.finishDeployment(fence, result, call),
  );
  if (!kept) throw new CygniError('lease_lost', 'another worker has the claim');
  call.log.info({ ...fence, state: result.state }, 'deployment finished');
}

async function pause({ clock }: PlatformContext, ms: number, call: Call): Promise<void> {
  await clock.sleep(Math.max(0, ms), call.signal);
  call.signal.throwIfAborted();
}

function lastProbe(instances: readonly Instance[]): string {
  const probe = instances.flatMap((instance) => instance.probes).findLast((each) => !each.ok);
  return `health check failed: ${probe?.error ?? 'no answer'}`;
}

function isSame(left: Revision, right: Revision): boolean {
  return left.number === right.number;
}
