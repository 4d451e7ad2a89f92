import { setTimeout as sleep } from 'node:timers/promises';
import type { CrashableDatabase } from './database.ts';
import type { Fleet } from './fleet/create-fleet.ts';
import type { Slot } from './fleet/slot.ts';
import type { Random } from './random.ts';

const kinds = ['kill', 'pause', 'terminate', 'wipe', 'fast', 'immediate', 'backend'] as const;
type Kind = (typeof kinds)[number];

/** Dealt out one after the other, then shuffled again: each kind comes up in every round, in its proportion. */
const deck: readonly Kind[] = [
  ...Array.from({ length: 7 }, () => 'kill' as const),
  ...Array.from({ length: 4 }, () => 'pause' as const),
  ...Array.from({ length: 2 }, () => 'terminate' as const),
  ...Array.from({ length: 2 }, () => 'wipe' as const),
  'fast',
  'immediate',
  'backend',
];
const pauseMs = { least: 300, most: 1_300 };
/** On a machine on which a process takes longer than this to start, there is more time between faults. */
const usualStartMs = 700;
const slowest = 2.5;

export type FaultCounts = Readonly<Record<Kind, number>>;

/** Causes faults until the signal aborts. @throws when PostgreSQL does not start again */
export async function disturb(
  fleet: Fleet,
  database: CrashableDatabase,
  random: Random,
  counts: Record<Kind, number>,
  signal: AbortSignal,
): Promise<void> {
  const workers = (): readonly Slot[] => fleet.slots.filter(({ role }) => role !== 'hub');
  const hub = fleet.slots.find(({ role }) => role === 'hub');

  async function cause(kind: Kind): Promise<boolean> {
    switch (kind) {
      case 'kill':
        return random.pick(workers()).signal('SIGKILL');
      case 'terminate': {
        const [slot] = random.shuffled(fleet.slots.filter(({ running }) => running));
        return slot?.signal('SIGTERM') ?? false;
      }
      case 'pause':
        fleet.pause(random.pick(fleet.slots));
        return true;
      case 'wipe':
        return hub?.signal('SIGKILL') ?? false;
      case 'fast':
      case 'immediate':
        await database.restart(kind);
        return true;
      case 'backend':
        return database.killBackend(random);
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
  return { kill: 0, pause: 0, terminate: 0, wipe: 0, fast: 0, immediate: 0, backend: 0 };
}
