import type { Watch } from './checks/watch.ts';
import { createApiClient } from './clients/api-client.ts';
import type { PromiseBook } from './clients/promise-book.ts';
import { runClients } from './clients/run-clients.ts';
import type { CrashableDatabase } from './database.ts';
import { type FaultCounts, noFaults } from './deal.ts';
import { disturb } from './disturb.ts';
import type { Fleet } from './fleet/create-fleet.ts';
import type { CrashTestOptions } from './options.ts';
import { createRandom } from './random.ts';
import type { CrashableRedis } from './redis.ts';
import { within } from './within.ts';

/** Builds that are not over yet; the clients hold back at more. */
const mostUnfinished = 90;
const drainMs = 60_000;

export interface Stage {
  readonly database: CrashableDatabase;
  readonly redis: CrashableRedis;
  readonly fleet: Fleet;
  readonly watch: Watch;
  readonly book: PromiseBook;
}

export interface LoadFigures {
  readonly faults: FaultCounts;
  readonly loadSeconds: number;
  readonly drainSeconds: number;
  /** Whether every client got its answer and every build its end, in the time there was for it. */
  readonly drained: boolean;
}

/** Load and faults for as long as the options say, then peace until everything has ended. */
export async function loadAndDisturb(
  { seconds, builds, seed }: CrashTestOptions,
  { database, redis, fleet, watch, book }: Stage,
  signal: AbortSignal,
): Promise<LoadFigures> {
  const over = new AbortController();
  const untilOver = AbortSignal.any([signal, over.signal]);
  const ended = new AbortController();
  const untilEnded = AbortSignal.any([untilOver, ended.signal]);

  const random = createRandom(seed);
  const api = createApiClient(() => random.shuffled(fleet.ports())[0] ?? null, untilOver);
  const began = performance.now();
  let answered = false;
  const clients = runClients(api, book, random, {
    mayGoOn: () => watch.unfinished < mostUnfinished,
    ended: ended.signal,
    signal: untilOver,
  }).then(() => {
    answered = true;
  });
  const faults = noFaults();
  const disturbing = disturb(
    { fleet, database, redis },
    createRandom(seed + 2),
    faults,
    untilEnded,
  );
  const watching = watch.run(untilOver);
  const others = [clients, disturbing, watching];

  try {
    const enough = () => book.acknowledged.size >= builds || fleet.unexpectedEnds.length > 0;
    // The others end later, unless they fail.
    await Promise.race([within(seconds * 1000, enough, signal), ...others]);
    signal.throwIfAborted();
    ended.abort();
    const loadSeconds = (performance.now() - began) / 1000;
    await disturbing;
    await redis.calm();
    fleet.calm();
    const drained = await drain(() => answered, watch, signal);
    over.abort();
    await Promise.all(others);
    const drainSeconds = (performance.now() - began) / 1000 - loadSeconds;
    return { faults, loadSeconds, drainSeconds, drained };
  } finally {
    over.abort();
    await Promise.allSettled(others);
  }
}

async function drain(answered: () => boolean, watch: Watch, signal: AbortSignal): Promise<boolean> {
  const over = () => answered() && watch.unfinished === 0;
  if (!(await within(drainMs, over, signal))) return false;
  // That look may be older than the last answer.
  const { looks } = watch;
  return within(drainMs, () => watch.looks > looks + 1 && watch.unfinished === 0, signal);
}
