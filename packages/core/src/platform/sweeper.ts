import type { Call } from '../contracts/call.ts';
import type { PlatformContext } from './context.ts';

const batch = 500;

/** Brings back what was forgotten, now and then, until the call is aborted. */
export async function sweepRegularly(context: PlatformContext, call: Call): Promise<void> {
  const { store, clock, settings } = context;
  while (!call.signal.aborted) {
    try {
      const swept = await store.sweep(
        { queuedSeconds: settings.queuedSeconds, limit: batch },
        call,
      );
      if (swept.requeued + swept.deadLettered > 0) {
        call.log.info({ ...swept }, 'swept');
        context.bell.ring('outbox');
      }
    } catch (err) {
      if (call.signal.aborted) return;
      call.log.warn({ err }, 'the sweep failed');
    }
    await clock.sleep(settings.sweepIntervalSeconds * 1000, call.signal);
  }
}
