import { setTimeout as sleep } from 'node:timers/promises';
import type { Fence } from '@cygni/core';
import type { ProcessRole } from '../crash-points.ts';
import type { Configuration, Report } from '../messages.ts';
import type { Random } from '../random.ts';
import { createPlans, type Plans } from './plans.ts';
import { createSlot, type Slot } from './slot.ts';

/** A process that stopped just before a fenced write goes on once another has its claim, or after this. */
const longestPauseMs = 6_000;
/** How many processes of each role run at once. */
const sizes: Readonly<Record<ProcessRole, number>> = {
  api: 2,
  relay: 2,
  builds: 3,
  sweeper: 2,
};

interface UnexpectedEnd {
  readonly slot: string;
  readonly how: string;
  readonly said: string;
}

export interface Fleet {
  readonly slots: readonly Slot[];
  readonly plans: Plans;
  readonly unexpectedEnds: readonly UnexpectedEnd[];
  readonly answersLost: number;
  /** Pauses, planned ones included. */
  readonly pauses: number;
  /** How long a process takes to start, on the average of those there are. */
  startMs(): number;
  /** Of the API processes that answer now. */
  ports(): readonly number[];
  /** Stops a process until it has outlived its leases. */
  pause(slot: Slot): void;
  /** No faults any more: everything that is stopped goes on, and every plan is dropped. */
  calm(): void;
  retire(how: 'gracefully' | 'at once'): Promise<void>;
}

export function createFleet(
  configuration: Omit<Configuration, 'role' | 'seed'>,
  random: Random,
  takenOver: (claim: Fence) => Promise<boolean>,
): Fleet {
  const leaseMs = configuration.leaseSeconds * 1000;
  const plans = createPlans(random);
  const unexpectedEnds: UnexpectedEnd[] = [];
  const peace = new AbortController();
  let answersLost = 0;
  let pauses = 0;

  const nap = (ms: number) => sleep(ms, undefined, { signal: peace.signal }).catch(() => {});

  async function wakeLater(slot: Slot, claim: Fence | null): Promise<void> {
    pauses += 1;
    const began = performance.now();
    await nap(leaseMs * random.between(1.2, claim ? 1.3 : 2.6));
    while (claim && !peace.signal.aborted && performance.now() - began < longestPauseMs) {
      if (await takenOver(claim).catch(() => false)) break;
      await nap(50);
    }
    wake(slot);
  }

  function wake(slot: Slot): void {
    slot.signal('SIGCONT');
    disturb(slot);
  }

  function disturb(slot: Slot): void {
    if (peace.signal.aborted) slot.send({ do: 'calm' });
    else slot.send({ do: 'arm', plan: plans.next(slot.role, slot.startMs) });
  }

  function onReport(slot: Slot, report: Report): void {
    switch (report.is) {
      case 'ready':
        disturb(slot);
        break;
      case 'crashing':
        plans.fired(report.point, 'crash');
        break;
      case 'ending-redis':
        plans.fired(report.point, 'crash');
        disturb(slot);
        break;
      case 'pausing':
        plans.fired(report.point, 'pause');
        void wakeLater(slot, report.claim);
        break;
      case 'answer-lost':
        answersLost += 1;
    }
  }

  const roles = Object.entries(sizes).flatMap(([role, size]) =>
    Array.from({ length: size }, (_, index) => ({
      role: role as ProcessRole,
      name: `${role}-${index + 1}`,
    })),
  );
  const slots = roles
    .filter(({ role }) => role !== 'sweeper' || configuration.sabotage !== 'sweep')
    .map(({ role, name }) =>
      createSlot(
        name,
        () => ({ ...configuration, role, seed: Math.floor(random.next() * 2 ** 32) }),
        {
          onReport,
          onUnexpectedEnd(slot, how, said) {
            unexpectedEnds.push({ slot: slot.name, how, said });
          },
        },
      ),
    );

  return {
    slots,
    plans,
    unexpectedEnds,
    get answersLost() {
      return answersLost;
    },
    get pauses() {
      return pauses;
    },
    startMs: () => slots.reduce((sum, slot) => sum + slot.startMs, 0) / slots.length,
    ports: () => slots.flatMap(({ port }) => port ?? []),
    pause(slot) {
      if (!slot.paused && slot.signal('SIGSTOP')) void wakeLater(slot, null);
    },
    calm() {
      peace.abort();
      for (const slot of slots) wake(slot);
    },
    async retire(how) {
      peace.abort();
      await Promise.all(slots.map((slot) => slot.retire(how)));
    },
  };
}
