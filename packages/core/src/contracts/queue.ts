import type { Adapter, Call } from './call.ts';

export const messageKinds = ['build', 'deployment'] as const;
export type MessageKind = (typeof messageKinds)[number];

/** The version of the messages that this platform sends and understands. */
export const MESSAGE_VERSION = 1;

/** A wake-up call. It holds no data: truth is in the store. */
export interface Message {
  /** {@link MESSAGE_VERSION} of the platform that sent it. */
  readonly v: number;
  readonly kind: MessageKind;
  readonly id: string;
  /** Handed out before messages without it. */
  readonly priority?: 'high';
  /** The span that sent it (W3C Trace Context), for the span that handles it to link to. A queue may lose it. */
  readonly traceparent?: string;
}

export interface Delivery {
  readonly message: Message;
  /** How often it has been handed out, this time included. */
  readonly deliveries: number;
  /** Since it was enqueued. Between two machines only as exact as their clocks; never negative. */
  readonly waitedSeconds: number;
}

/** A message that will not be handed out again. */
export interface DeadLetter {
  readonly kind: MessageKind;
  /** Null: it could not be read. */
  readonly id: string | null;
  /** `deliveries`: it was handed out as often as it may be. `unreadable`: no version of this platform has written it. */
  readonly reason: 'deliveries' | 'unreadable';
}

export interface ConsumeOptions {
  /** Most handlers at once. No message is taken out of the queue before there is a handler for it. */
  readonly concurrency: number;
  /** Milliseconds before a message whose handler rejected is handed out again; doubled each further time, up to {@link longestRedeliveryDelayMs}. */
  readonly redeliveryDelayMs: number;
  /** A message that was handed out so often, and whose handlers all rejected or died, is a dead letter. */
  readonly maximumDeliveries: number;
  /** Told of each dead letter once it has left the queue. Must not throw. */
  readonly onDeadLetter: (letter: DeadLetter) => void;
}

export type MessageHandler = (delivery: Delivery, call: Call) => Promise<void>;

export interface QueueStats {
  /** Waiting messages by kind, those for a later time included. */
  readonly depth: Readonly<Record<MessageKind, number>>;
  /** Seconds that the oldest waiting message has waited; 0 when empty. */
  readonly oldestAgeSeconds: number;
}

/**
 * Delivers messages at least once. May lose everything, and be away for any time: the store's outbox and sweep bring it back.
 * All methods may throw `unavailable`, `timeout`, `aborted`, `closed`.
 */
export interface Queue extends Adapter {
  /** Connects, and returns also if there is nobody to connect to: that may change. @throws `invalid_configuration` if it is refused for good */
  open(call: Call): Promise<void>;
  /** Whether messages can be sent now. @throws `unavailable` */
  ping(call: Call): Promise<void>;
  /**
   * A message with the kind and id of one that waits already is not added. One that is enqueued while the same is
   * being handled is handed out afterwards. Whether it was added is unknown when this throws: send it again.
   */
  enqueue(messages: readonly Message[], call: Call): Promise<void>;
  /**
   * Hands each message of `kind` to `handler`, at most `concurrency` at once, until `call.signal` aborts or the queue is closed;
   * then resolves once no handler runs any more. A handler that rejects does not end it, nor does an outage.
   * What a consumer that died had in hand is handed out again. A message of another version than {@link MESSAGE_VERSION} is
   * not handed out: it stays in the queue for a consumer that knows it.
   */
  consume(
    kind: MessageKind,
    handler: MessageHandler,
    options: ConsumeOptions,
    call: Call,
  ): Promise<void>;
  stats(call: Call): Promise<QueueStats>;
}

export const longestRedeliveryDelayMs = 60_000;

/** Before a message is handed out for the time after `deliveries`. */
export function redeliveryDelay(
  { redeliveryDelayMs }: Pick<ConsumeOptions, 'redeliveryDelayMs'>,
  deliveries: number,
): number {
  return Math.min(redeliveryDelayMs * 2 ** (deliveries - 1), longestRedeliveryDelayMs);
}
