import type { Call } from '../contracts/call.ts';
import type { DeploymentClaim } from '../contracts/store.ts';
import type { Evidence } from '../model/deployment.ts';
import type { PlatformContext } from './context.ts';
import type { SickVerdict } from './watch-revision.ts';

const logLines = 50;
const maximumLineCharacters = 2_000;

/** What is known about a sick revision, read before anything of it is removed. */
export async function collectEvidence(
  { deployer, clock }: PlatformContext,
  { revision, stable }: DeploymentClaim,
  verdict: SickVerdict,
  cost: number,
  call: Call,
): Promise<Evidence> {
  const key = { tenantId: revision.tenantId, service: revision.service };
  const observation = await deployer.observe(key, call);
  const instances = observation.instances.filter((each) => each.revision === revision.number);
  return {
    ...verdict,
    requestedDigest: revision.digest,
    observedDigest: instances.find((each) => each.digest !== null)?.digest ?? null,
    instances: instances.map(({ id, state, reason }) => ({ id, state, reason })),
    probes: instances.flatMap((each) => each.probes),
    logLines: await tailLogs(),
    rolledBackTo: stable && stable.number !== revision.number ? stable.number : null,
    cost,
    collectedAt: clock.now().toISOString(),
  };

  /** A log that cannot be read must not stop a rollback; the evidence then says so. */
  async function tailLogs(): Promise<string[]> {
    try {
      const lines = await deployer.tailLogs({ ...key, revision: revision.number }, logLines, call);
      return lines.map((line) => line.replaceAll('\0', '\u{fffd}').slice(0, maximumLineCharacters));
    } catch (err) {
      call.log.warn({ err }, 'the log of a sick revision could not be read');
      return ['[the log could not be read]'];
    }
  }
}
