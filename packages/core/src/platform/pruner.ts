import type { Call } from '../contracts/call.ts';
import type { PlatformContext } from './context.ts';

const batch = 500;
/** Artifacts deleted at once: a step that takes too long would begin again. */
const garbageBatch = 20;

/** Removes what has been kept long enough, now and then, until the call is aborted. */
export async function pruneRegularly(context: PlatformContext, call: Call): Promise<void> {
  const { clock, settings } = context;
  while (!call.signal.aborted) {
    try {
      await pruneRows(context, call);
      await pruneDeliveries(context, call);
      await removeGarbage(context, call);
    } catch (err) {
      if (call.signal.aborted) return;
      call.log.warn({ err }, 'what is old could not be removed');
    }
    await clock.sleep(settings.pruneIntervalSeconds * 1000, call.signal);
  }
}

async function pruneRows({ store, settings }: PlatformContext, call: Call): Promise<void> {
  for (;;) {
    const pruned = await store.prune(
      {
        workSeconds: settings.keepWorkSeconds,
        sourceSeconds: settings.keepSourcesSeconds,
        eventSeconds: settings.keepEventsSeconds,
        limit: batch,
      },
      call,
    );
    const counts = Object.values(pruned);
    if (counts.some((count) => count > 0)) call.log.info({ ...pruned }, 'pruned');
    if (counts.every((count) => count < batch)) return;
  }
}

async function pruneDeliveries({ store, settings }: PlatformContext, call: Call): Promise<void> {
  const options = { keepSeconds: settings.keepDeliveriesSeconds, limit: batch };
  while ((await store.pruneDeliveries(options, call)) >= batch);
}

/** After the rows: an artifact goes only once nothing names it, and its key is forgotten only once it is gone. */
async function removeGarbage({ store, artifacts }: PlatformContext, call: Call): Promise<void> {
  let removed: number;
  do {
    removed = await store.takeGarbage(
      garbageBatch,
      async (keys) => {
        await Promise.all(keys.map((key) => artifacts.delete(key, call)));
      },
      call,
    );
  } while (removed === garbageBatch);
}
