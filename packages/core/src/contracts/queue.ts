import type { Adapter, Call } from './call.ts';

export type MessageKind = 'build' | 'deployment';

/** A wake-up call. It holds no data: truth is in the store. */
export interface Message {
  readonly v: 1;
  readonly kind: MessageKind;
  readonly id: string;
}

export interface QueueStats {
  /** Waiting messages by kind. */
  readonly depth: Readonly<Record<MessageKind, number>>;
  /** Seconds that the oldest waiting message has waited; 0 when empty. */
  readonly oldestAgeSeconds: number;
}

/** Delivers messages at least once. May lose everything: the store's outbox and sweep bring it back. */
export interface Queue extends Adapter {
  enqueue(messages: readonly Message[], call: Call): Promise<void>;
  /**
   * Hands each message of `kind` to `handler`, at most `concurrency` at once, until `call.signal` aborts;
   * then resolves once no handler runs any more. A handler that rejects does not end it.
   */
  consume(
    kind: MessageKind,
    handler: (message: Message, call: Call) => Promise<void>,
    options: { readonly concurrency: number },
    call: Call,
  ): Promise<void>;
  stats(call: Call): Promise<QueueStats>;
}
