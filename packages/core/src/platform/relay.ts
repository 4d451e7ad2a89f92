import { SpanKind } from '@opentelemetry/api';
import type { Call } from '../contracts/call.ts';
import type { Message, Queue } from '../contracts/queue.ts';
import type { PlatformContext } from './context.ts';
import { currentTraceparent, inSpan } from './spans.ts';

const batch = 100;
const longestPauseMs = 1_000;

/**
 * Lets queued builds through, and moves the outbox's messages to the queue, until the call is aborted. While the queue
 * or the store is down, messages stay where they are.
 */
export async function relayOutbox(context: PlatformContext, call: Call): Promise<void> {
  const { store, queue, bell, settings } = context;
  let failures = 0;
  let rung: Promise<boolean> | null = null;
  while (!call.signal.aborted) {
    // From before it looks: who rings meanwhile may have something that it did not see.
    rung ??= bell.wait('outbox', settings.relayIntervalMs, call.signal);
    try {
      await store.dispatchBuilds(
        {
          maximumPerTenant: settings.maximumRunningBuildsPerTenant,
          maximumUnclaimed: settings.maximumDispatchedBuilds,
          limit: batch,
        },
        call,
      );
      const moved = await store.takeOutbox(batch, (messages) => send(queue, messages, call), call);
      failures = 0;
      if (moved === batch) continue;
      await rung;
      rung = null;
    } catch (err) {
      if (call.signal.aborted) return;
      failures += 1;
      call.log.warn({ err, failures }, 'the outbox could not be relayed');
      const pause = Math.min(settings.relayIntervalMs * 2 ** failures, longestPauseMs);
      await context.clock.sleep(pause * (0.5 + Math.random() / 2), call.signal);
    }
  }
}

/** The messages carry the span that sent them. */
function send(queue: Queue, messages: readonly Message[], call: Call): Promise<void> {
  const attributes = { 'messaging.batch.message_count': messages.length };
  return inSpan('send', { kind: SpanKind.PRODUCER, attributes }, () => {
    const traceparent = currentTraceparent();
    const sent =
      traceparent === undefined
        ? messages
        : messages.map((message) => ({ ...message, traceparent }));
    return queue.enqueue(sent, call);
  });
}
