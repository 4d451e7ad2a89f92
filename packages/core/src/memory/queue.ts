import { type Call, SPEC_VERSION } from '../contracts/call.ts';
import {
  type ConsumeOptions,
  MESSAGE_VERSION,
  type Message,
  type MessageHandler,
  type MessageKind,
  messageKinds,
  type Queue,
  redeliveryDelay,
} from '../contracts/queue.ts';
import { abortedError, CygniError } from '../errors.ts';

interface Letter {
  readonly message: Message;
  /** Monotonic, in ms. */
  readonly since: number;
  readonly deliveries: number;
}

/** The waiting messages of one kind, by id. */
interface Shelf {
  readonly high: Map<string, Letter>;
  readonly normal: Map<string, Letter>;
  /** With the timers that will put them back. */
  readonly delayed: Map<string, { readonly letter: Letter; readonly timer: NodeJS.Timeout }>;
  /** Of another version. */
  readonly foreign: Map<string, Letter>;
  readonly wakeUps: Set<() => void>;
}

/**
 * A queue inside this process. It forgets everything when the process ends, which loses no work:
 * the store's outbox and sweep send the messages again.
 */
export function createMemoryQueue(): Queue {
  const shelves: Record<MessageKind, Shelf> = { build: createShelf(), deployment: createShelf() };
  const closing = new AbortController();

  /** @throws `closed`, `aborted` */
  function refuseUnlessLive(call: Call): void {
    if (closing.signal.aborted) throw new CygniError('closed', 'the queue is closed');
    if (call.signal.aborted) throw abortedError(call.signal);
  }

  async function consumeOne(
    shelf: Shelf,
    handler: MessageHandler,
    options: ConsumeOptions,
    call: Call,
  ): Promise<void> {
    const until = AbortSignal.any([call.signal, closing.signal]);
    while (!until.aborted) {
      const letter = take(shelf);
      if (letter) await hand(shelf, letter, handler, options, call);
      else await nextMessage(shelf, until);
    }
  }

  async function hand(
    shelf: Shelf,
    { message, since, deliveries: before }: Letter,
    handler: MessageHandler,
    options: ConsumeOptions,
    call: Call,
  ): Promise<void> {
    const deliveries = before + 1;
    const { kind, id } = message;
    try {
      const waitedSeconds = (performance.now() - since) / 1000;
      await handler({ message, deliveries, waitedSeconds }, call);
    } catch (err) {
      call.log.error({ err, kind, id, deliveries }, 'message handler failed');
      if (closing.signal.aborted || waits(shelf, id)) return;
      if (deliveries >= options.maximumDeliveries) {
        options.onDeadLetter({ kind, id, reason: 'deliveries' });
      } else {
        delay(shelf, { message, since, deliveries }, redeliveryDelay(options, deliveries));
      }
    }
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'memory',
    async open(call) {
      refuseUnlessLive(call);
    },
    async close() {
      closing.abort();
      for (const shelf of Object.values(shelves)) empty(shelf);
    },
    async ping(call) {
      refuseUnlessLive(call);
    },
    async enqueue(messages, call) {
      refuseUnlessLive(call);
      const since = performance.now();
      for (const message of messages) {
        const shelf = shelves[message.kind];
        if (!waits(shelf, message.id)) put(shelf, { message, since, deliveries: 0 });
      }
    },
    async consume(kind, handler, options, call) {
      refuseUnlessLive(call);
      const consumers = Array.from({ length: options.concurrency }, () =>
        consumeOne(shelves[kind], handler, options, call),
      );
      await Promise.all(consumers);
    },
    async stats(call) {
      refuseUnlessLive(call);
      const letters = (kind: MessageKind) => waitingIn(shelves[kind]);
      const since = messageKinds.flatMap((kind) => letters(kind).map((letter) => letter.since));
      return {
        depth: { build: letters('build').length, deployment: letters('deployment').length },
        oldestAgeSeconds:
          since.length === 0
            ? 0
            : (performance.now() - since.reduce((left, right) => Math.min(left, right))) / 1000,
      };
    },
  };
}

function createShelf(): Shelf {
  return {
    high: new Map(),
    normal: new Map(),
    delayed: new Map(),
    foreign: new Map(),
    wakeUps: new Set(),
  };
}

function waits({ high, normal, delayed, foreign }: Shelf, id: string): boolean {
  return [high, normal, delayed, foreign].some((letters) => letters.has(id));
}

function waitingIn({ high, normal, delayed, foreign }: Shelf): Letter[] {
  const later = [...delayed.values()].map(({ letter }) => letter);
  return [...high.values(), ...normal.values(), ...later, ...foreign.values()];
}

function put(shelf: Shelf, letter: Letter): void {
  const { v, id, priority } = letter.message;
  if (v !== MESSAGE_VERSION) {
    shelf.foreign.set(id, letter);
    return;
  }
  (priority === 'high' ? shelf.high : shelf.normal).set(id, letter);
  const [wake] = shelf.wakeUps;
  wake?.();
}

function delay(shelf: Shelf, letter: Letter, delayMs: number): void {
  const { id } = letter.message;
  const timer = setTimeout(() => {
    shelf.delayed.delete(id);
    put(shelf, letter);
  }, delayMs);
  shelf.delayed.set(id, { letter, timer });
}

function take({ high, normal }: Shelf): Letter | undefined {
  for (const letters of [high, normal]) {
    for (const [id, letter] of letters) {
      letters.delete(id);
      return letter;
    }
  }
  return undefined;
}

function empty(shelf: Shelf): void {
  for (const { timer } of shelf.delayed.values()) clearTimeout(timer);
  for (const letters of [shelf.high, shelf.normal, shelf.delayed, shelf.foreign]) letters.clear();
}

/** Resolves when a message has come, or the signal aborts. */
function nextMessage({ wakeUps }: Shelf, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const wake = () => {
      signal.removeEventListener('abort', wake);
      wakeUps.delete(wake);
      resolve();
    };
    wakeUps.add(wake);
    signal.addEventListener('abort', wake, { once: true });
  });
}
