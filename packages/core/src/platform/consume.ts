import { SpanKind } from '@opentelemetry/api';
import type { Call } from '../contracts/call.ts';
import type { Message, MessageKind } from '../contracts/queue.ts';
import type { PlatformContext } from './context.ts';
import { inSpan, linksTo } from './spans.ts';

/** With these, a message whose handler always rejects is given up after two minutes; the store's sweep sends another. */
const redeliveryDelayMs = 500;
const maximumDeliveries = 9;

/** Works on the messages of one kind until the call is aborted, and measures how they come. */
export function consumeMessages(
  context: PlatformContext,
  kind: MessageKind,
  concurrency: number,
  work: (context: PlatformContext, message: Message, call: Call) => Promise<void>,
  call: Call,
): Promise<void> {
  const { queue, metrics } = context;
  return queue.consume(
    kind,
    async ({ message, deliveries, waitedSeconds }, taken) => {
      if (deliveries === 1) metrics.queueDelivery.observe({ kind }, waitedSeconds);
      else metrics.queueRedeliveries.inc({ kind });
      const options = {
        kind: SpanKind.CONSUMER,
        links: linksTo(message.traceparent),
        root: true,
        attributes: { 'messaging.message.id': message.id },
      };
      await inSpan(`process ${kind}`, options, () => work(context, message, taken));
    },
    {
      concurrency,
      redeliveryDelayMs,
      maximumDeliveries,
      onDeadLetter(letter) {
        metrics.queueDeadLetters.inc({ kind });
        call.log.error({ ...letter }, 'a message was given up');
      },
    },
    call,
  );
}
