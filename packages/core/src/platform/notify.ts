import type { Call } from '../contracts/call.ts';
import type { PlatformContext } from './context.ts';
import { deliver } from './deliver.ts';

const concurrency = 20;
/** To one endpoint at once: it is not overrun, and one that hangs holds up few. */
const maximumPerTarget = 5;
/** Longer than a call to a notifier may take. */
const leaseSeconds = 60;
const announceEveryMs = 3_600_000;

/** Works off deliveries until the call is aborted, and then gives back those that are under way. */
export async function notifyOthers(context: PlatformContext, call: Call): Promise<void> {
  const { store, notifiers, clock, settings } = context;
  if (notifiers.length === 0) return;
  const running = new Set<Promise<void>>();
  let announcedAt: number | null = null;

  async function start(): Promise<void> {
    const now = clock.monotonic();
    if (announcedAt === null || now - announcedAt >= announceEveryMs) {
      await announce(context, call);
      announcedAt = now;
    }
    const limit = concurrency - running.size;
    if (limit === 0) return;
    const names = notifiers.filter(({ endpoints }) => !endpoints).map(({ name }) => name);
    const endpoints = notifiers.some((notifier) => notifier.endpoints);
    const claims = await store.claimDeliveries(
      { endpoints, notifiers: names, maximumPerTarget, limit, leaseSeconds },
      call,
    );
    for (const claim of claims) {
      const task = deliver(context, claim, call)
        .catch((err: unknown) => call.log.warn({ err }, 'a delivery could not be recorded'))
        .finally(() => running.delete(task));
      running.add(task);
    }
  }

  while (!call.signal.aborted) {
    try {
      await start();
    } catch (err) {
      if (!call.signal.aborted) call.log.warn({ err }, 'deliveries could not be claimed');
    }
    const woken = new AbortController();
    const pause = clock.sleep(
      settings.notifyIntervalMs,
      AbortSignal.any([call.signal, woken.signal]),
    );
    await Promise.race([pause, ...running]);
    woken.abort();
  }
  await Promise.all(running);
}

/** From now on events are kept for the notifiers that have no endpoints to say so. */
async function announce({ store, notifiers }: PlatformContext, call: Call): Promise<void> {
  for (const { name, endpoints } of notifiers) {
    if (!endpoints) await store.announceNotifier(name, call);
  }
}
