import { mkdir } from 'node:fs/promises';
import { checkBalance, checkSettled } from './checks/balance.ts';
import { checkBuilds } from './checks/builds.ts';
import { checkEffects } from './checks/effects.ts';
import type { Finding } from './checks/finding.ts';
import { createWatch } from './checks/watch.ts';
import { createPromiseBook } from './clients/promise-book.ts';
import { startDatabase } from './database.ts';
import { createFleet, type Fleet } from './fleet/create-fleet.ts';
import { warmUp } from './fleet/warm-up.ts';
import { type LoadFigures, loadAndDisturb, type Stage } from './load-and-disturb.ts';
import type { CrashTestOptions } from './options.ts';
import { pathsIn } from './paths.ts';
import { createRandom } from './random.ts';
import { startRedis } from './redis.ts';
import type { Outcome } from './report.ts';
import { readTrace } from './trace.ts';
import { within } from './within.ts';

const leaseSeconds = 1;
const startMs = 60_000;

/** One run in `directory`: load and faults, then peace until everything has ended, then the checks. */
export async function run(
  options: CrashTestOptions,
  directory: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const paths = pathsIn(directory);
  for (const path of [paths.images, paths.logs]) await mkdir(path, { recursive: true });
  await using cleanUp = new AsyncDisposableStack();
  const database = await startDatabase(paths.database, signal);
  cleanUp.defer(() => database.close());
  const redis = await startRedis(paths.redis);
  cleanUp.defer(() => redis.close());
  await warmUp(paths.compileCache);
  signal.throwIfAborted();
  const { seed, sabotage } = options;
  const fleet = createFleet(
    {
      databaseUrl: database.url,
      redisUrl: redis.url,
      directory,
      leaseSeconds,
      ...(sabotage ? { sabotage } : {}),
    },
    createRandom(seed + 1),
    async ({ id, attempt }) => {
      const newer = 'SELECT FROM cygni.builds WHERE id = $1 AND attempt > $2';
      return (await database.query(newer, [id, attempt])).length > 0;
    },
  );
  cleanUp.defer(() => fleet.retire('at once'));
  await untilStarted(fleet, signal);

  const stage = { database, redis, fleet, watch: createWatch(database), book: createPromiseBook() };
  const figures = await loadAndDisturb(options, stage, signal);
  await fleet.retire('gracefully');
  return await judge(options, stage, figures, paths.trace);
}

async function untilStarted(fleet: Fleet, signal: AbortSignal): Promise<void> {
  const failed = () => fleet.unexpectedEnds.length > 0;
  const started = () => failed() || fleet.slots.every(({ running }) => running);
  const inTime = await within(startMs, started, signal);
  if (inTime && !failed()) return;
  const said = fleet.unexpectedEnds.map((end) => `${end.slot}, ${end.how}: ${end.said}`);
  throw new Error(`the processes did not start. ${said.join('\n')}`);
}

async function judge(
  options: CrashTestOptions,
  { database, fleet, watch, book }: Stage,
  figures: LoadFigures,
  tracePath: string,
): Promise<Outcome> {
  const builds = await checkBuilds(database, book, watch.ended);
  const effects = await checkEffects(readTrace(tracePath), leaseSeconds);
  const broken = (what: string): Finding => ({ kind: 'broken', what });
  const findings: readonly Finding[] = [
    ...builds.findings,
    ...effects.findings,
    ...watch.findings,
    ...(await checkBalance(database)),
    ...(await checkSettled(database)),
    ...fleet.unexpectedEnds.map(({ slot, how, said }) =>
      broken(`${slot} ended by itself, ${how}: ${said}`),
    ),
    ...(figures.drained ? [] : [broken('not everything had ended when the time for it was over')]),
  ];
  return {
    ...figures,
    options,
    findings,
    fleet,
    states: builds.states,
    events: effects.events,
    pushes: effects.pushes,
    refusals: book.refusals,
    looks: watch.looks,
  };
}
