import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Call,
  type ConsumeOptions,
  type MessageHandler,
  type MessageKind,
  redeliveryDelay,
} from '@cygni/core';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import { type Claimer, deliveriesOf, type JobWork, startClaimer } from './claimer.ts';
import { readContent } from './message.ts';
import type { ResolvedOptions } from './options.ts';

/** How long a message of another version rests before it is looked at again. */
const foreignRestMs = 30_000;
const watchIntervalMs = 500;
/** A loop that does nothing for so long, while Redis answers others, will not do anything again. */
const stuckMs = 3_000;
const restartPauseMs = 200;

export interface ConsumerParts {
  readonly options: ResolvedOptions;
  /** Whether Redis answers on another connection. */
  readonly answers: () => Promise<boolean>;
}

/**
 * Hands messages to the handler until the signal aborts, and resolves once no handler runs. A watchdog replaces a claim
 * loop that has ended or makes no progress; what it had in hand goes on, within the same concurrency.
 */
export async function consumeKind(
  { options, answers }: ConsumerParts,
  kind: MessageKind,
  handler: MessageHandler,
  consume: ConsumeOptions,
  call: Call,
  stop: AbortSignal,
): Promise<void> {
  const work = jobWork(kind, handler, consume, call);
  /** Replaced, with something in hand. */
  const retiring = new Map<Claimer, Promise<void>>();
  let current: Claimer | undefined;
  const running = () => [...retiring.keys()].reduce((sum, claimer) => sum + claimer.running, 0);

  function retire(claimer: Claimer): void {
    const done = claimer.retire().finally(() => {
      retiring.delete(claimer);
      current?.setConcurrency(Math.max(1, consume.concurrency - running()));
    });
    retiring.set(claimer, done);
  }

  while (!stop.aborted) {
    const free = consume.concurrency - running();
    if (free <= 0) {
      await Promise.race([...retiring.values(), aborted(stop)]);
      continue;
    }
    current = startClaimer(options, kind, free, work, call);
    const why = await Promise.race([
      aborted(stop).then(() => null),
      current.broken.then(() => 'it ended'),
      stuck(current, answers, stop).then(() => 'it made no progress'),
    ]);
    retire(current);
    if (why !== null && !stop.aborted) {
      call.log.warn({ kind, why }, 'the claim loop is replaced');
      await sleep(restartPauseMs, undefined, { signal: stop }).catch(() => {});
    }
  }
  await Promise.all(retiring.values());
}

/** Resolves once the claimer did nothing for long although Redis answers; never when the signal aborts first. */
async function stuck(
  claimer: Claimer,
  answers: () => Promise<boolean>,
  stop: AbortSignal,
): Promise<void> {
  let suspicions = 0;
  // The second time in a row: Redis may have come back in this moment.
  while (suspicions < 2) {
    await sleep(watchIntervalMs, undefined, { signal: stop }).catch(() => {});
    if (stop.aborted) return new Promise(() => {});
    suspicions = claimer.idleMs() > stuckMs && (await answers()) ? suspicions + 1 : 0;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function jobWork(
  kind: MessageKind,
  handler: MessageHandler,
  consume: ConsumeOptions,
  call: Call,
): JobWork {
  async function process(job: Job, token: string): Promise<void> {
    const content = readContent(kind, job.data);
    if (content.is === 'unreadable') throw new UnrecoverableError('unreadable');
    if (content.is === 'of another version') {
      call.log.warn({ kind, v: content.v }, 'a message of another version is left in the queue');
      await job.moveToDelayed(Date.now() + foreignRestMs, token);
      throw new DelayedError();
    }
    const { message } = content;
    const deliveries = deliveriesOf(job);
    // The last consumer died with it.
    if (deliveries > consume.maximumDeliveries) throw new UnrecoverableError('delivered in vain');
    const waitedSeconds = Math.max(0, Date.now() - job.timestamp) / 1000;
    try {
      await handler({ message, deliveries, waitedSeconds }, call);
    } catch (err) {
      call.log.error({ err, kind, id: message.id, deliveries }, 'message handler failed');
      // What a handler's error says is not for Redis, where it would be kept.
      if (deliveries >= consume.maximumDeliveries)
        throw new UnrecoverableError('delivered in vain');
      throw new Error('the handler failed');
    }
  }

  return {
    process,
    redeliveryDelay: (deliveries) => redeliveryDelay(consume, deliveries),
    onDead(job) {
      const content = readContent(kind, job.data);
      if (content.is === 'message') {
        consume.onDeadLetter({ kind, id: content.message.id, reason: 'deliveries' });
      } else {
        consume.onDeadLetter({ kind, id: null, reason: 'unreadable' });
      }
    },
  };
}
