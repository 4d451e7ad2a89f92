import { setTimeout as sleep } from 'node:timers/promises';
import type { CrashableDatabase } from './database.ts';
import type { Fleet } from './fleet/create-fleet.ts';
import type { Random } from './random.ts';
import type { CrashableRedis } from './redis.ts';

const kinds = [
  'kill',
  'pause',
  'terminate',
  'fast',
  'immediate',
  'backend',
  'flush',
  'lose',
  'freeze',
  'cut',
  'fill',
] as const;
type Kind = (typeof kinds)[number];

/** Dealt out one after the other, then shuffled again: each kind comes up in every round, in its proportion. */
const deck: readonly Kind[] = [
  ...Array.from({ length: 7 }, () => 'kill' as const),
  ...Array.from({ length: 4 }, () => 'pause' as const),
  ...Array.from({ length: 2 }, () => 'terminate' as const),
  'fast',
  'immediate',
  'backend',
  // Of Redis.
  ...Array.from({ length: 2 }, () => 'flush' as const),
  'lose',
  'freeze',
  'cut',
  'fill',
];
const pauseMs = { least: 300, most: 1_300 };
/** On a machine on which a process takes longer than this to start, there is more time between faults. */
const usualStartMs = 700;
const slowest = 2.5;

export type FaultCounts = Readonly<Record<Kind, number>>;

/** How long Redis is away, stopped or full; stopped for longer than its clients are patient with it, now and then. */
const redisMs = { lose: 1_500, freeze: 7_000, fill: 2_500 };

interface Disturbed {
  readonly fleet: Fleet;
  readonly database: CrashableDatabase;
  readonly redis: CrashableRedis;
}

/** Causes faults until the signal aborts. @throws when PostgreSQL does not start again */
export async function disturb(
  { fleet, database, redis }: Disturbed,
  random: Random,
  counts: Record<Kind, number>,
  signal: AbortSignal,
): Promise<void> {
  async function cause(kind: Kind): Promise<boolean> {
    switch (kind) {
      case 'kill':
        return random.pick(fleet.slots).signal('SIGKILL');
      case 'terminate': {
        const [slot] = random.shuffled(fleet.slots.filter(({ running }) => running));
        return slot?.signal('SIGTERM') ?? false;
      }
      case 'pause':
        fleet.pause(random.pick(fleet.slots));
        return true;
      case 'fast':
      case 'immediate':
        await database.restart(kind);
        return true;
      case 'backend':
        return database.killBackend(random);
      case 'flush':
        return redis.flush();
      case 'lose':
        redis.restart(random.between(0, redisMs.lose));
        return true;
      case 'freeze':
        redis.pause(random.between(0, redisMs.freeze));
        return true;
      case 'cut':
        return redis.cutClients();
      case 'fill':
        return redis.fill(random.between(0, redisMs.fill));
    }
  }

  let dealt: Kind[] = [];
  while (!signal.aborted) {
    const slowness = Math.min(slowest, Math.max(1, fleet.startMs() / usualStartMs));
    const ms = slowness * random.between(pauseMs.least, pauseMs.most);
    await sleep(ms, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    if (dealt.length === 0) dealt = random.shuffled(deck);
    const kind = dealt.pop();
    if (kind && (await cause(kind))) counts[kind] += 1;
  }
}

export function noFaults(): Record<Kind, number> {
  return {
    kill: 0,
    pause: 0,
    terminate: 0,
    fast: 0,
    immediate: 0,
    backend: 0,
    flush: 0,
    lose: 0,
    freeze: 0,
    cut: 0,
    fill: 0,
  };
}
