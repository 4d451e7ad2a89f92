import type { Call, MessageKind } from '@cygni/core';
import { type Job, type JobJson, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import { type Connection, createConnection } from './connections.ts';
import { mapError } from './map-error.ts';
import type { ResolvedOptions } from './options.ts';
import { createWatchedBackend } from './watched-backend.ts';

const closeTimeoutMs = 2_000;
/** BullMQ's own limits on what we decide: never reached. */
const never = 1_000_000_000;
/** For operators to look at. */
const keptDeadLetters = 1_000;

export interface Claimer {
  /** How many jobs it may have in hand. */
  setConcurrency(concurrency: number): void;
  readonly running: number;
  /** Milliseconds since its loop last did something; 0 while it has no reason to. */
  idleMs(): number;
  /** Resolves when its loop has ended by itself, which it should not. */
  readonly broken: Promise<void>;
  /** Claims nothing more; resolves when nothing is in hand and that is known to Redis, or Redis cannot be reached. */
  retire(): Promise<void>;
}

export interface JobWork {
  /** Rejects: comes again after `redeliveryDelay`, unless with UnrecoverableError. */
  process(job: Job, token: string): Promise<void>;
  redeliveryDelay(deliveries: number): number;
  /** It rejected with UnrecoverableError, and Redis knows. */
  onDead(job: Job): void;
}

/** How often Redis has handed the job out, this time included. */
export function deliveriesOf({ attemptsMade, stalledCounter }: Job): number {
  return attemptsMade + stalledCounter + 1;
}

/** One BullMQ worker with two connections of its own. */
export function startClaimer(
  options: ResolvedOptions,
  kind: MessageKind,
  concurrency: number,
  work: JobWork,
  call: Call,
): Claimer {
  const onError = (error: unknown) => call.log.debug({ err: mapError(error), kind }, 'queue');
  const commands = createConnection(options, 'consuming', onError);
  const waiting = createConnection(options, 'consuming', onError);
  const inHand = new Set<Promise<void>>();
  let limit = concurrency;
  let lastStep = performance.now();
  let retired: Promise<void> | undefined;

  async function process(job: Job, token = ''): Promise<void> {
    if (retired) {
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const task = work.process(job, token);
    inHand.add(task);
    try {
      await task;
    } finally {
      inHand.delete(task);
      lastStep = performance.now();
    }
  }

  const redeliveryMs = options.redeliverySeconds * 1_000;
  const worker = new OwnWorker(
    kind,
    process,
    {
      connection: commands,
      prefix: options.prefix,
      concurrency,
      autorun: false,
      // A dead consumer's lock runs out, the next check marks its jobs, and the one after it hands them out.
      lockDuration: redeliveryMs / 2,
      stalledInterval: redeliveryMs / 4,
      maxStalledCount: never,
      drainDelay: 1,
      runRetryDelay: 200,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: keptDeadLetters },
      settings: { backoffStrategy: work.redeliveryDelay },
    },
    (name, own) =>
      createWatchedBackend(
        name,
        options.prefix,
        own,
        { commands, waiting },
        { onStep: step, onError },
      ),
  );
  worker.on('error', onError);
  worker.on('failed', (job, error) => {
    if (job && error instanceof UnrecoverableError) work.onDead(job);
  });
  const looping = worker.run().catch(onError);

  function step(): void {
    lastStep = performance.now();
  }

  async function retire(): Promise<void> {
    // Its promise is for jobs in hand, which are waited for below without Redis.
    void worker.pause(true);
    while (inHand.size > 0) await Promise.allSettled(inHand);
    const timer = Promise.withResolvers<void>();
    const timeout = setTimeout(timer.resolve, closeTimeoutMs);
    await Promise.race([worker.close().catch(onError), timer.promise]);
    clearTimeout(timeout);
    cut(commands);
    cut(waiting);
  }

  return {
    setConcurrency(wanted) {
      limit = wanted;
      worker.concurrency = wanted;
    },
    get running() {
      return inHand.size;
    },
    idleMs: () => (retired || inHand.size >= limit ? 0 : performance.now() - lastStep),
    broken: looping,
    retire() {
      retired ??= retire();
      return retired;
    },
  };
}

function cut(connection: Connection): void {
  connection.disconnect();
}

class OwnWorker extends Worker {
  protected override createJob(json: JobJson, id: string) {
    const job = this.readJob(json, id);
    // Said here, and not with each job, where it would cost a tenth of the rate.
    job.opts.attempts = never;
    job.opts.backoff = { type: 'custom' };
    return job;
  }

  /** BullMQ's loop would end at a job whose content is no JSON; here it is an unreadable message. */
  private readJob(json: JobJson, id: string) {
    try {
      return super.createJob(json, id);
    } catch {
      return super.createJob({ ...json, data: 'null' }, id);
    }
  }
}
