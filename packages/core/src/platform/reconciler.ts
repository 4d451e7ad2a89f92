import type { Call } from '../contracts/call.ts';
import type { ServiceObservation } from '../contracts/deployer.ts';
import type { Revision, Service } from '../model/deployment.ts';
import type { PlatformContext } from './context.ts';
import { deployableRevision } from './deployable-revision.ts';

const pageSize = 100;

/**
 * Compares every settled service with what runs, now and then: its stable revision is started where it is missing
 * or has exited, and gets the traffic where nobody has it. This is also what starts services again after a restart.
 */
export async function reconcileRegularly(context: PlatformContext, call: Call): Promise<void> {
  const { clock, settings } = context;
  while (!call.signal.aborted) {
    try {
      await reconcileAll(context, call);
    } catch (err) {
      if (call.signal.aborted) return;
      call.log.warn({ err }, 'services could not be compared with what runs');
    }
    await clock.sleep(settings.reconcileIntervalSeconds * 1000, call.signal);
  }
}

async function reconcileAll(context: PlatformContext, call: Call): Promise<void> {
  let cursor: string | null = null;
  do {
    const page = await context.store.listSettledServices({ limit: pageSize, cursor }, call);
    for (const { service, stable } of page.items) {
      try {
        await reconcile(context, service, stable, call);
      } catch (err) {
        if (call.signal.aborted) return;
        call.log.warn({ err, service: service.name }, 'a service could not be reconciled');
      }
    }
    cursor = page.nextCursor;
  } while (cursor !== null && !call.signal.aborted);
}

async function reconcile(
  context: PlatformContext,
  service: Service,
  stable: Revision,
  call: Call,
): Promise<void> {
  const { deployer, store } = context;
  const key = { tenantId: stable.tenantId, service: stable.service };
  const found = await deployer.observe(key, call);
  if (!runs(found, stable)) {
    call.log.info({ ...key, revision: stable.number }, 'starting the stable revision again');
    await deployer.apply(await deployableRevision(context, stable, call), call);
  }
  if (!hasTraffic(found)) {
    await deployer.route(key, [{ revision: stable.number, percent: 100 }], call);
  }
  const { url } = await deployer.observe(key, call);
  if (url !== null && url !== service.url) await store.setServiceUrl(key, url, call);
}

function runs(found: ServiceObservation, stable: Revision): boolean {
  return found.instances.some(
    (instance) => instance.revision === stable.number && instance.state !== 'exited',
  );
}

/** Traffic on another revision that runs is left alone: a rollout that began meanwhile may have put it there. */
function hasTraffic(found: ServiceObservation): boolean {
  return (
    found.traffic.length > 0 &&
    found.traffic.every(({ revision }) =>
      found.instances.some((instance) => instance.revision === revision),
    )
  );
}
