import { setTimeout as sleep } from 'node:timers/promises';
import type { CrashableDatabase } from './database.ts';
import { createDealer, type FaultKind } from './deal.ts';
import type { Fleet } from './fleet/create-fleet.ts';
import type { Random } from './random.ts';
import type { CrashableRedis } from './redis.ts';

const pauseMs = { least: 300, most: 1_300 };
/** On a machine on which a process takes longer than this to start, there is more time between faults. */
const usualStartMs = 700;
const slowest = 2.5;

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
  counts: Record<FaultKind, number>,
  signal: AbortSignal,
): Promise<void> {
  async function cause(kind: FaultKind): Promise<boolean> {
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
        return redis.restart(random.between(0, redisMs.lose));
      case 'freeze':
        return redis.pause(random.between(0, redisMs.freeze));
      case 'cut':
        return redis.cutClients();
      case 'fill':
        return redis.fill(random.between(0, redisMs.fill));
    }
  }

  const dealer = createDealer(random);
  while (!signal.aborted) {
    const slowness = Math.min(slowest, Math.max(1, fleet.startMs() / usualStartMs));
    const ms = slowness * random.between(pauseMs.least, pauseMs.most);
    await sleep(ms, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const kind = dealer.next();
    if (await cause(kind)) counts[kind] += 1;
    else dealer.putBack(kind);
  }
}
