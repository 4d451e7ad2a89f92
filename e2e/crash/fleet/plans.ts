import { type CrashPoint, crashPointsOf, type ProcessRole, pausePoints } from '../crash-points.ts';
import type { Plan } from '../messages.ts';
import type { Random } from '../random.ts';

/** Of the plans for workers, how many stop the process instead of ending it: soon, for that costs no restart. */
const pauses = 0.6;
const quietBeforePauseMs = 1_500;
/** How long a process may work undisturbed by its plan, at most. Workers have the most points, and so the shortest lives. */
const quietMs: Readonly<Record<ProcessRole, number>> = {
  api: 5_000,
  relay: 10_000,
  builds: 3_000,
  sweeper: 20_000,
};
/** On a slow machine, what restarts cost must leave enough time to work. */
const quietStarts = 5;
const longestQuietMs = 8_000;
/** A rare point must not keep the others from firing: this long after it the next one may. */
const patienceMs = 3_000;

export interface Plans {
  next(role: ProcessRole, startMs: number): Plan;
  fired(point: CrashPoint, action: Plan['action']): void;
  /** How often the point ended a process, or stopped one. */
  count(point: CrashPoint, action: Plan['action']): number;
}

/** Decides what goes wrong where: what has gone wrong the least comes next, so that everything does. */
export function createPlans(random: Random): Plans {
  const fired = new Map<string, number>();
  const keyOf = (point: CrashPoint, action: Plan['action']) => `${action} ${point}`;
  const count: Plans['count'] = (point, action) => fired.get(keyOf(point, action)) ?? 0;

  return {
    count,
    next(role, startMs) {
      const action = role === 'builds' && random.chance(pauses) ? 'pause' : 'crash';
      const candidates: readonly CrashPoint[] =
        action === 'pause' ? pausePoints : crashPointsOf(role);
      const points = random
        .shuffled(candidates)
        .sort((left, right) => count(left, action) - count(right, action));
      const mostMs =
        action === 'pause'
          ? quietBeforePauseMs
          : Math.max(quietMs[role], Math.min(quietStarts * startMs, longestQuietMs));
      return { points, action, patienceMs, afterMs: random.between(0.1, 1) * mostMs };
    },
    fired(point, action) {
      fired.set(keyOf(point, action), count(point, action) + 1);
    },
  };
}
