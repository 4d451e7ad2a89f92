import type { Call } from '../contracts/call.ts';
import type { RevisionKey } from '../contracts/deployer.ts';
import type { Message } from '../contracts/queue.ts';
import type { DeploymentClaim, DeploymentFinish, Fence } from '../contracts/store.ts';
import { CygniError, isCygniError } from '../errors.ts';
import type { Revision } from '../model/deployment.ts';
import { lastWords, type PlatformContext } from './context.ts';
import { deployableRevision } from './deployable-revision.ts';
import { collectEvidence } from './evidence.ts';
import { holdLease, type Lease } from './lease.ts';
import { retryWhileUnavailable } from './retry.ts';
import { inSpan, linksTo } from './spans.ts';
import { bake, type SickVerdict, watchUntilHealthy } from './watch-revision.ts';
import { withFields } from './with-fields.ts';

/** Takes one deployment from its message to its end, unless somebody else has it. */
export async function workOnDeployment(
  context: PlatformContext,
  message: Message,
  outer: Call,
): Promise<void> {
  const { store, settings, clock } = context;
  const claim = await store.claimDeployment(message.id, settings.leaseSeconds, outer);
  if (!claim) return;
  const fence: Fence = { id: claim.deployment.id, attempt: claim.deployment.attempt };
  const { tenantId } = claim.deployment;
  const fields = { deploymentId: fence.id, attempt: fence.attempt, tenantId };
  const call: Call = { ...outer, log: withFields(outer.log, fields) };
  call.log.info({ service: claim.service.name }, 'deployment claimed');
  try {
    await using lease = holdLease(
      {
        leaseSeconds: settings.leaseSeconds,
        clock,
        heartbeat: (beat) => store.heartbeatDeployment(fence, settings.leaseSeconds, beat),
      },
      call,
    );
    const attributes = {
      'cicd.pipeline.task.name': 'deploy',
      'cicd.pipeline.task.type': 'deploy',
      'cicd.pipeline.task.run.id': fence.id,
    };
    const links = linksTo(claim.traceparent);
    await inSpan(`RUN ${context.deployer.name}`, { attributes, links }, () =>
      rollOut(context, claim, lease, { ...call, signal: lease.signal }),
    );
  } catch (error) {
    if (isCygniError(error, 'lease_lost')) {
      call.log.warn({ err: error }, 'deployment given up: the claim was lost');
    } else if (call.signal.aborted) {
      await store.releaseDeployment(fence, { countAttempt: false }, lastWords(call.log));
      call.log.info({}, 'deployment given back for shutdown');
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

  let sick: SickVerdict | 'cancelled' | undefined = await applyRevision(context, claim, call);
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
): Promise<SickVerdict | undefined> {
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

/** Saves the evidence, gives the traffic back to the stable revision, and removes the sick one: in this order. */
async function retreat(
  context: PlatformContext,
  claim: DeploymentClaim,
  verdict: SickVerdict | 'cancelled',
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
  try {
    const deployable = await deployableRevision(context, stable, call);
    await retryWhileUnavailable(call.signal, () => context.deployer.apply(deployable, call));
  } catch (err) {
    if (!isCygniError(err, 'integrity')) throw err;
    // It cannot be started again, but what of it runs still serves better than what is sick.
    call.log.error({ err, ...key }, 'the stable revision gets the traffic as it runs');
  }
  await context.deployer.route(key, [{ revision: stable.number, percent: 100 }], call);
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
  { store, budget }: PlatformContext,
  { deployment }: DeploymentClaim,
  result: DeploymentFinish,
  call: Call,
): Promise<void> {
  const fence: Fence = { id: deployment.id, attempt: deployment.attempt };
  const kept = await retryWhileUnavailable(call.signal, () =>
    store.finishDeployment(fence, { ...result, alertAt: budget.alertAt }, call),
  );
  if (!kept) throw new CygniError('lease_lost', 'another worker has the claim');
  call.log.info({ state: result.state }, 'deployment finished');
}

function isSame(left: Revision, right: Revision): boolean {
  return left.number === right.number;
}
