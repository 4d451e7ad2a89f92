import type { Call } from '../contracts/call.ts';
import type { Instance } from '../contracts/deployer.ts';
import type { DeploymentClaim } from '../contracts/store.ts';
import type { Evidence, Revision } from '../model/deployment.ts';
import type { PlatformContext } from './context.ts';
import type { Lease } from './lease.ts';
import { retryWhileUnavailable } from './retry.ts';

/** Why a revision is sick. */
export interface SickVerdict {
  readonly rule: Evidence['rule'];
  readonly message: string;
}

/** Looks until every instance is healthy (undefined), one is sick, the deadline has passed, or a user cancels. */
export async function watchUntilHealthy(
  context: PlatformContext,
  { deployment, revision }: DeploymentClaim,
  lease: Lease,
  call: Call,
): Promise<SickVerdict | 'cancelled' | undefined> {
  const { clock, settings } = context;
  const { deadlineSeconds } = deployment.rollout;
  const deadline = clock.monotonic() + deadlineSeconds * 1000;
  for (;;) {
    const instances = await instancesOf(context, revision, call);
    if (lease.cancelled.aborted) return 'cancelled';
    const sick = judge(instances);
    if (sick) return sick;
    const healthy = instances.every((instance) => instance.health === 'healthy');
    if (instances.length > 0 && healthy) return undefined;
    if (clock.monotonic() >= deadline) {
      return { rule: 'deadline_exceeded', message: `not healthy after ${deadlineSeconds} s` };
    }
    await pause(context, settings.observeIntervalMs, call);
  }
}

/** Looks on after the traffic has moved, until the bake time is over (undefined), an instance is sick or gone, or a user cancels. */
export async function bake(
  context: PlatformContext,
  { deployment, revision }: DeploymentClaim,
  lease: Lease,
  call: Call,
): Promise<SickVerdict | 'cancelled' | undefined> {
  const { clock, settings } = context;
  const until = clock.monotonic() + deployment.rollout.bakeSeconds * 1000;
  while (clock.monotonic() < until) {
    const instances = await instancesOf(context, revision, call);
    if (lease.cancelled.aborted) return 'cancelled';
    if (instances.length === 0) return { rule: 'bake_failed', message: 'the instance is gone' };
    const sick = judge(instances);
    if (sick) return { rule: 'bake_failed', message: `with the traffic on it: ${sick.message}` };
    await pause(context, Math.min(settings.observeIntervalMs, until - clock.monotonic()), call);
  }
  return undefined;
}

function judge(instances: readonly Instance[]): SickVerdict | undefined {
  const exited = instances.find((instance) => instance.state === 'exited');
  if (exited) return { rule: 'instance_exited', message: `instance ended: ${exited.reason}` };
  if (instances.every((instance) => instance.health !== 'unhealthy')) return undefined;
  const probe = instances.flatMap((instance) => instance.probes).findLast((each) => !each.ok);
  const message = `health check failed: ${probe?.error ?? 'no answer'}`;
  return { rule: 'health_check_failed', message };
}

async function instancesOf(
  { deployer }: PlatformContext,
  revision: Revision,
  call: Call,
): Promise<readonly Instance[]> {
  const key = { tenantId: revision.tenantId, service: revision.service };
  const { instances } = await retryWhileUnavailable(call.signal, () => deployer.observe(key, call));
  return instances.filter((instance) => instance.revision === revision.number);
}

async function pause({ clock }: PlatformContext, ms: number, call: Call): Promise<void> {
  await clock.sleep(Math.max(0, ms), call.signal);
  call.signal.throwIfAborted();
}
