import type { Call } from '../contracts/call.ts';
import type { DeployableRevision } from '../contracts/deployer.ts';
import type { Revision } from '../model/deployment.ts';
import { requireReadable } from '../sealing/variables.ts';
import type { PlatformContext } from './context.ts';
import { retryWhileUnavailable } from './retry.ts';

/** A revision with what a deployer needs to pull and run it. @throws `integrity` where its environment cannot be read */
export async function deployableRevision(
  { registry }: PlatformContext,
  revision: Revision,
  call: Call,
): Promise<DeployableRevision> {
  const environment = requireReadable(revision.environment);
  const credentials = await retryWhileUnavailable(call.signal, () =>
    registry.credentials(revision.repository, ['pull'], call),
  );
  return {
    tenantId: revision.tenantId,
    service: revision.service,
    revision: revision.number,
    image: {
      host: registry.host,
      repository: revision.repository,
      insecure: registry.insecure,
      credentials,
    },
    digest: revision.digest,
    environment,
    arguments: revision.arguments,
    healthCheck: revision.healthCheck,
  };
}
