import type { Call } from '../contracts/call.ts';
import {
  type ConsumeOptions,
  type DeadLetter,
  type Delivery,
  MESSAGE_VERSION,
  type Message,
  type MessageHandler,
  type MessageKind,
  type Queue,
} from '../contracts/queue.ts';

/** A queue to test, empty. */
export interface QueueUnderTest {
  readonly queue: Queue;
  /**
   * Starts a consumer of builds in a process of its own, and kills that process when it has a message in hand.
   * Null: the queue lives and dies with its process.
   */
  readonly loseConsumer: (() => Promise<void>) | null;
  /** After the test. The queue may be closed already. */
  dispose(): Promise<void>;
}

const patienceMs = 30_000;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A call that gives up, so that a test that waits for ever fails by name. */
export function queueCall(signal?: AbortSignal): Call {
  const patience = AbortSignal.timeout(patienceMs);
  return { signal: signal ? AbortSignal.any([signal, patience]) : patience, log: silent };
}

export function messageOf(id: string, changes: Partial<Message> = {}): Message {
  return { v: MESSAGE_VERSION, kind: 'build', id, ...changes };
}

export interface Consumer {
  /** What was handed out, oldest first. */
  readonly deliveries: readonly Delivery[];
  readonly ids: readonly string[];
  readonly deadLetters: readonly DeadLetter[];
  /** Resolves once so much was handed out. */
  delivered(count: number): Promise<void>;
  /** Aborts, and resolves when `consume` has. */
  stop(): Promise<void>;
  /** What `consume` returned. */
  readonly ended: Promise<void>;
}

export function startConsumer(
  queue: Queue,
  handler: MessageHandler,
  options: Partial<ConsumeOptions> = {},
  kind: MessageKind = 'build',
): Consumer {
  const abort = new AbortController();
  const deliveries: Delivery[] = [];
  const deadLetters: DeadLetter[] = [];
  const ended = queue.consume(
    kind,
    async (delivery, call) => {
      deliveries.push(delivery);
      await handler(delivery, call);
    },
    {
      concurrency: 1,
      redeliveryDelayMs: 1,
      maximumDeliveries: 3,
      onDeadLetter: (letter) => deadLetters.push(letter),
      ...options,
    },
    queueCall(abort.signal),
  );
  ended.catch(() => {});
  return {
    deliveries,
    get ids() {
      return deliveries.map(({ message }) => message.id);
    },
    deadLetters,
    delivered: (count) => until(() => deliveries.length >= count),
    async stop() {
      abort.abort();
      await ended;
    },
    ended,
  };
}

/** Looks again and again. @throws `timeout` */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const { signal } = queueCall();
  while (!(await isSo())) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Resolves once nothing waits. */
export async function drained(queue: Queue): Promise<void> {
  await until(async () => (await queue.stats(queueCall())).depth.build === 0);
}
