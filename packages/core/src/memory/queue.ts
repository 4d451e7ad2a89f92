import { type Call, SPEC_VERSION } from '../contracts/call.ts';
import type { Message, MessageKind, Queue } from '../contracts/queue.ts';
import { CygniError } from '../errors.ts';

interface Waiting {
  readonly message: Message;
  readonly since: number;
}

/**
 * A queue inside this process. It forgets everything when the process ends, which loses no work:
 * the store's outbox and sweep send the messages again.
 */
export function createMemoryQueue(): Queue {
  const waiting: Record<MessageKind, Waiting[]> = { build: [], deployment: [] };
  const wakeUps: Record<MessageKind, Set<() => void>> = { build: new Set(), deployment: new Set() };
  let closed = false;

  function wakeAll(kind: MessageKind): void {
    for (const wake of wakeUps[kind]) wake();
    wakeUps[kind].clear();
  }

  function nextMessage(kind: MessageKind, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || closed || waiting[kind].length > 0) return resolve();
      const wake = () => {
        signal.removeEventListener('abort', wake);
        wakeUps[kind].delete(wake);
        resolve();
      };
      wakeUps[kind].add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  async function consumeOne(
    kind: MessageKind,
    handler: (message: Message, call: Call) => Promise<void>,
    call: Call,
  ): Promise<void> {
    while (!call.signal.aborted && !closed) {
      const next = waiting[kind].shift();
      if (!next) {
        await nextMessage(kind, call.signal);
        continue;
      }
      try {
        await handler(next.message, call);
      } catch (err) {
        call.log.error({ err, kind, id: next.message.id }, 'message handler failed');
      }
    }
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'memory',
    async open() {},
    async close() {
      closed = true;
      for (const kind of Object.keys(waiting) as MessageKind[]) {
        waiting[kind] = [];
        wakeAll(kind);
      }
    },
    async enqueue(messages) {
      if (closed) throw new CygniError('closed', 'the queue is closed');
      const since = performance.now();
      for (const message of messages) waiting[message.kind].push({ message, since });
      for (const kind of new Set(messages.map((message) => message.kind))) wakeAll(kind);
    },
    async consume(kind, handler, { concurrency }, call) {
      await Promise.all(Array.from({ length: concurrency }, () => consumeOne(kind, handler, call)));
    },
    async stats() {
      const oldest = Math.min(
        ...Object.values(waiting).map((queue) => queue[0]?.since ?? Number.POSITIVE_INFINITY),
      );
      return {
        depth: { build: waiting.build.length, deployment: waiting.deployment.length },
        oldestAgeSeconds: Number.isFinite(oldest) ? (performance.now() - oldest) / 1000 : 0,
      };
    },
  };
}
