import {
  abortedError,
  type Call,
  CygniError,
  type Message,
  type MessageKind,
  messageKinds,
  type QueueStats,
} from '@cygni/core';
import { type Job, type JobsOptions, Queue } from 'bullmq';
import { type Connection, createConnection, isReady } from './connections.ts';
import { mapError } from './map-error.ts';
import { contentOf } from './message.ts';
import type { ResolvedOptions } from './options.ts';

/** How long a call waits for a connection that is being made. */
const connectPatienceMs = 500;

export interface Producer {
  /** Resolves when connected, or after `patienceMs`: false, and what was wrong last. */
  connected(patienceMs: number, signal: AbortSignal): Promise<boolean>;
  readonly lastError: CygniError | undefined;
  ping(call: Call): Promise<void>;
  enqueue(messages: readonly Message[], call: Call): Promise<void>;
  stats(call: Call): Promise<QueueStats>;
  close(): void;
}

/** Sends on one connection, which refuses at once what it cannot send now. */
export function createProducer(options: ResolvedOptions): Producer {
  let lastError: CygniError | undefined;
  const connection = createConnection(options, 'producing', (error) => {
    lastError = mapError(error);
  });
  const queues: Record<MessageKind, Queue> = {
    build: createQueue('build', options, connection),
    deployment: createQueue('deployment', options, connection),
  };

  async function guarded<Value>(call: Call, work: () => Promise<Value>): Promise<Value> {
    if (!(await connected(connection, connectPatienceMs, call.signal))) {
      if (call.signal.aborted) throw abortedError(call.signal);
      throw new CygniError('unavailable', 'Redis is out of reach', { cause: lastError });
    }
    try {
      return await settleOrAbort(work(), call.signal);
    } catch (error) {
      throw mapError(error);
    }
  }

  return {
    connected: (patienceMs, signal) => connected(connection, patienceMs, signal),
    get lastError() {
      return lastError;
    },
    ping: (call) =>
      guarded(call, async () => {
        await connection.ping();
      }),
    enqueue: (messages, call) =>
      guarded(call, async () => {
        const ofKind = Object.groupBy(messages, ({ kind }) => kind);
        const sent = messageKinds.map(async (kind) => {
          const some = ofKind[kind];
          if (some) await queues[kind].addBulk(some.map(jobOf));
        });
        await Promise.all(sent);
      }),
    stats: (call) =>
      guarded(call, async () => {
        const [build, deployment] = await Promise.all([
          statsOf(queues.build),
          statsOf(queues.deployment),
        ]);
        const since = Math.min(build.since, deployment.since);
        return {
          depth: { build: build.depth, deployment: deployment.depth },
          oldestAgeSeconds: Number.isFinite(since) ? Math.max(0, Date.now() - since) / 1000 : 0,
        };
      }),
    close() {
      connection.disconnect();
    },
  };
}

function createQueue(
  kind: MessageKind,
  { prefix }: ResolvedOptions,
  connection: Connection,
): Queue {
  const queue = new Queue(kind, {
    connection,
    prefix,
    // Both would need a connection now, and fail for good without one.
    skipVersionCheck: true,
    skipWaitingForReady: true,
  });
  queue.on('error', () => {});
  return queue;
}

function jobOf(message: Message): { name: string; data: object; opts: JobsOptions } {
  return {
    name: message.kind,
    data: contentOf(message),
    opts: {
      // Waits once; if it is in hand, it comes again afterwards.
      deduplication: { id: message.id, keepLastIfActive: true },
      // BullMQ's priorities are slower, and those without one go first.
      ...(message.priority === 'high' ? { lifo: true } : {}),
    },
  };
}

async function statsOf(queue: Queue): Promise<{ readonly depth: number; readonly since: number }> {
  const [counts, ...oldest] = await Promise.all([
    queue.getJobCounts('wait', 'delayed'),
    queue.getJobs('wait', 0, 0, true),
    queue.getJobs('delayed', 0, 0, true),
  ]);
  const times = oldest
    .flat()
    .map((job: Job | undefined) => job?.timestamp ?? Number.POSITIVE_INFINITY);
  return { depth: (counts.wait ?? 0) + (counts.delayed ?? 0), since: Math.min(...times) };
}

function connected(
  connection: Connection,
  patienceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (isReady(connection) || signal.aborted) return Promise.resolve(isReady(connection));
  return new Promise((resolve) => {
    const settle = () => {
      clearTimeout(timer);
      connection.removeListener('ready', settle);
      signal.removeEventListener('abort', settle);
      resolve(isReady(connection));
    };
    const timer = setTimeout(settle, patienceMs);
    connection.once('ready', settle);
    signal.addEventListener('abort', settle, { once: true });
  });
}

/** As the promise, or rejects once the signal aborts. */
async function settleOrAbort<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortedError(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  promise.catch(() => {});
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
