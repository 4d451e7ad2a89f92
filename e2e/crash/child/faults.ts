import { writeSync } from 'node:fs';
import { CygniError, type Fence } from '@cygni/core';
import type { CrashPoint, RedisCrashPoint } from '../crash-points.ts';
import { exitCodes, type Plan, type Report } from '../messages.ts';
import type { Random } from '../random.ts';

const reportFile = 3;
/** Of the calls whose work is done, how many look as if the connection had broken before the answer came. */
const lostAnswers = 0.01;

export interface Faults {
  /** Ends or stops this process where the plan says so. */
  reach(point: CrashPoint, claim?: Fence): void;
  /** Whether the plan says that Redis ends here. */
  endsRedis(point: RedisCrashPoint): boolean;
  /** @throws `unavailable` now and then: what was asked for has happened, and the caller does not learn it */
  loseAnswer(operation: string): void;
  arm(plan: Plan): void;
  /** From now on nothing goes wrong any more. */
  calm(): void;
}

export function createFaults(random: Random): Faults {
  let armed: { readonly plan: Plan; readonly from: number } | undefined;
  let calmed = false;

  /** What the plan has for this point, once. */
  function fire(point: CrashPoint): Plan['action'] | null {
    if (!armed) return null;
    const { points, patienceMs, action } = armed.plan;
    const place = points.indexOf(point);
    if (place < 0 || performance.now() < armed.from + place * patienceMs) return null;
    armed = undefined;
    return action;
  }

  return {
    reach(point, claim) {
      const action = fire(point);
      if (action === null) return;
      if (action === 'crash') {
        report({ is: 'crashing', point });
        process.exit(exitCodes.crashed);
      }
      report({ is: 'pausing', point, claim: claim ?? null });
      // Until the harness lets this process go on.
      process.kill(process.pid, 'SIGSTOP');
    },
    endsRedis(point) {
      if (fire(point) === null) return false;
      report({ is: 'ending-redis', point });
      return true;
    },
    loseAnswer(operation) {
      if (calmed || !random.chance(lostAnswers)) return;
      report({ is: 'answer-lost', operation });
      throw new CygniError('unavailable', `the answer to ${operation} was lost`);
    },
    arm(plan) {
      if (!calmed) armed = { plan, from: performance.now() + plan.afterMs };
    },
    calm() {
      calmed = true;
      armed = undefined;
    },
  };
}

/** Written before this returns: nothing that happens to the process afterwards takes it back. */
export function report(said: Report): void {
  writeSync(reportFile, `${JSON.stringify(said)}\n`);
}
