import type { Finding, FindingKind } from './checks/finding.ts';
import { allCrashPoints, type CrashPoint, pausePoints, redisCrashPoints } from './crash-points.ts';
import { redisFaults } from './deal.ts';
import type { Fleet } from './fleet/create-fleet.ts';
import type { LoadFigures } from './load-and-disturb.ts';
import type { CrashTestOptions } from './options.ts';
import type { TraceEvent } from './trace.ts';

/** In a run of this length and with so many builds, every crash point must have fired. */
const longRun = { seconds: 120, builds: 3_000 };
/** In a run of this length, Redis must have failed in every way. */
const shortRunSeconds = 30;
const mostFindings = 20;
const mostTraces = 3;

export interface Outcome extends LoadFigures {
  readonly options: CrashTestOptions;
  readonly findings: readonly Finding[];
  /** How many builds ended, or did not end, in which state. */
  readonly states: ReadonlyMap<string, number>;
  readonly events: ReadonlyMap<string, readonly TraceEvent[]>;
  readonly pushes: number;
  readonly fleet: Fleet;
  readonly refusals: number;
  /** How often the accounts were looked at while everything went on. */
  readonly looks: number;
}

/** Tells how the run went. True: nothing was wrong. */
export function report(outcome: Outcome, print: (line: string) => void): boolean {
  const { plans } = outcome.fleet;
  for (const point of allCrashPoints) {
    const pauses = plans.count(point, 'pause');
    const paused = pauses > 0 ? `, ${pauses} pauses` : '';
    print(`${String(plans.count(point, 'crash')).padStart(5)} × ${point}${paused}`);
  }
  const findings = [...outcome.findings, ...neverFired(outcome), ...neverCaused(outcome)];
  explain(outcome, findings, print);
  print(figures(outcome, findings));
  return findings.length === 0;
}

function neverFired({ fleet, loadSeconds, events, options }: Outcome): readonly Finding[] {
  const isLong = loadSeconds >= longRun.seconds && events.size >= longRun.builds;
  if (!isLong || options.sabotage !== undefined) return [];
  const missing = (action: 'crash' | 'pause', points: readonly CrashPoint[]) =>
    points
      .filter((point) => fleet.plans.count(point, action) === 0)
      .map((point): Finding => ({ kind: 'broken', what: `no ${action} ever at "${point}"` }));
  return [...missing('crash', allCrashPoints), ...missing('pause', pausePoints)];
}

function neverCaused({ faults, loadSeconds, options }: Outcome): readonly Finding[] {
  if (loadSeconds < shortRunSeconds || options.sabotage !== undefined) return [];
  return redisFaults
    .filter((kind) => faults[kind] === 0)
    .map((kind): Finding => ({ kind: 'broken', what: `Redis never had the fault "${kind}"` }));
}

function explain(
  { events, options }: Outcome,
  findings: readonly Finding[],
  print: (line: string) => void,
): void {
  if (findings.length === 0) return;
  for (const { kind, what, buildId } of findings.slice(0, mostFindings)) {
    print(`${kind.toUpperCase()} ${buildId ?? ''} ${what}`);
  }
  if (findings.length > mostFindings) print(`… and ${findings.length - mostFindings} more`);
  const builds = new Set(findings.flatMap(({ buildId }) => buildId ?? []));
  for (const buildId of [...builds].slice(0, mostTraces)) {
    print(`what happened to ${buildId}:`);
    for (const { event, operation, attempt, askedAt, at, process } of events.get(buildId) ?? []) {
      const took = `${askedAt.toFixed(1)} → ${at.toFixed(1)} ms`;
      print(`  ${took}  process ${process}, attempt ${attempt}: ${event} ${operation ?? ''}`);
    }
  }
  print(`again: npm run test:crash -- --seconds=${options.seconds} --seed=${options.seed}`);
}

function figures(outcome: Outcome, findings: readonly Finding[]): string {
  const { faults, fleet, states, options } = outcome;
  const fired = (points: readonly CrashPoint[]) =>
    points.reduce((sum, point) => sum + fleet.plans.count(point, 'crash'), 0);
  const builds = [...states.values()].reduce((sum, each) => sum + each, 0);
  const reached = allCrashPoints.filter((point) => fleet.plans.count(point, 'crash') > 0).length;
  const count = (kind: FindingKind) => findings.filter((each) => each.kind === kind).length;
  return [
    `${builds} builds (${[...states].map(([state, each]) => `${each} ${state}`).join(', ')})`,
    `${outcome.refusals} answered 402`,
    `${outcome.pushes} pushes`,
    `${faults.kill} kills`,
    `${faults.terminate} terminations`,
    `${fleet.pauses} pauses`,
    `${faults.fast + faults.immediate + faults.backend} PostgreSQL restarts`,
    `${faults.flush} queue wipes`,
    `${faults.lose + fired(redisCrashPoints)} Redis restarts`,
    `${faults.freeze} Redis pauses`,
    `${faults.cut} times its clients cut off`,
    `${faults.fill} times it was full`,
    `${fired(allCrashPoints)} crashes at ${reached} of ${allCrashPoints.length} points`,
    `${fleet.answersLost} answers lost`,
    `${outcome.looks} balances`,
    `${count('lost')} lost`,
    `${count('doubled')} doubled`,
    `${count('unbalanced')} unbalanced`,
    `${count('broken')} broken`,
    `${(builds / outcome.loadSeconds).toFixed(1)} builds/s over ${outcome.loadSeconds.toFixed(0)} s`,
    `drained in ${outcome.drainSeconds.toFixed(1)} s`,
    `seed ${options.seed}`,
  ].join(', ');
}
