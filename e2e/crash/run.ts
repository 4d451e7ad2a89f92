import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDiskArtifactStore } from '@cygni/core';
import { checkBalance, checkSettled } from './checks/balance.ts';
import { checkBuilds } from './checks/builds.ts';
import { checkEffects } from './checks/effects.ts';
import type { Finding } from './checks/finding.ts';
import { createWatch, type Watch } from './checks/watch.ts';
import { createApiClient } from './clients/api-client.ts';
import { createPromiseBook } from './clients/promise-book.ts';
import { runClients } from './clients/run-clients.ts';
import { startDatabase } from './database.ts';
import { disturb, noFaults } from './disturb.ts';
import { createFleet } from './fleet/create-fleet.ts';
import { warmUp } from './fleet/warm-up.ts';
import type { CrashTestOptions } from './options.ts';
import { pathsIn } from './paths.ts';
import { createRandom } from './random.ts';
import type { Outcome } from './report.ts';
import { readTrace } from './trace.ts';

const leaseSeconds = 1;
const silentLog = { debug() {}, info() {}, warn() {}, error() {} };
/** Builds that are not over yet; the clients hold back at more. */
const mostUnfinished = 90;
const drainMs = 60_000;
const startMs = 60_000;

/** One run in `directory`: load and faults, then peace until everything has ended, then the checks. */
export async function run(
  options: CrashTestOptions,
  directory: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { seconds, seed, sabotage } = options;
  const paths = pathsIn(directory);
  for (const path of [paths.images, paths.logs]) await mkdir(path, { recursive: true });
  await createDiskArtifactStore({ directory: paths.artifacts }).open({ signal, log: silentLog });
  const random = createRandom(seed);
  await using cleanUp = new AsyncDisposableStack();
  const database = await startDatabase(paths.database, signal);
  cleanUp.defer(() => database.close());
  await warmUp(paths.compileCache);
  const fleet = createFleet(
    {
      databaseUrl: database.url,
      directory,
      leaseSeconds,
      ...(sabotage === undefined ? {} : { sabotage }),
    },
    createRandom(seed + 1),
  );
  cleanUp.defer(() => fleet.retire('at once'));
  const started = () =>
    fleet.unexpectedEnds.length > 0 || fleet.slots.every(({ running }) => running);
  if (!(await within(startMs, started, signal))) throw new Error('the processes did not start');

  const book = createPromiseBook();
  const watch = createWatch(database);
  const over = new AbortController();
  const watching = watch.run(AbortSignal.any([signal, over.signal]));
  const ended = new AbortController();
  const givenUp = new AbortController();
  const began = performance.now();
  const portOf = () => random.shuffled(fleet.ports())[0] ?? null;
  const api = createApiClient(portOf, AbortSignal.any([signal, givenUp.signal]));
  const load = {
    mayGoOn: () => watch.unfinished < mostUnfinished,
    ended: ended.signal,
    signal: AbortSignal.any([signal, givenUp.signal]),
  };
  let answered = false;
  const clients = runClients(api, book, random, load).then(() => {
    answered = true;
  });
  const faults = noFaults();
  const disturbing = disturb(
    fleet,
    database,
    createRandom(seed + 2),
    faults,
    AbortSignal.any([signal, ended.signal]),
  );

  const enough = () => book.acknowledged.size >= options.builds || fleet.unexpectedEnds.length > 0;
  const loading = within(seconds * 1000, enough, signal);
  // The others end later, unless they fail.
  await Promise.race([loading, disturbing, clients, watching]);
  signal.throwIfAborted();
  ended.abort();
  const loadSeconds = (performance.now() - began) / 1000;
  await disturbing;
  fleet.calm();
  const drained = await drain(() => answered, watch, signal);
  const drainSeconds = (performance.now() - began) / 1000 - loadSeconds;
  givenUp.abort();
  await clients;
  over.abort();
  await watching;
  await fleet.retire('gracefully');

  const { findings, states } = await checkBuilds(database, book, watch.ended);
  const effects = await checkEffects(readTrace(paths.trace), leaseSeconds);
  const all: readonly Finding[] = [
    ...findings,
    ...effects.findings,
    ...watch.findings,
    ...(await checkBalance(database)),
    ...(await checkSettled(database)),
    ...fleet.unexpectedEnds.map(({ slot, how, said }): Finding => {
      return { kind: 'broken', what: `${slot} ended by itself, ${how}: ${said}` };
    }),
    ...(drained ? [] : [{ kind: 'broken', what: `not drained in ${drainMs} ms` } as const]),
  ];
  return {
    options,
    findings: all,
    states,
    events: effects.events,
    pushes: effects.pushes,
    faults,
    fleet,
    refusals: book.refusals,
    acknowledged: book.acknowledged.size,
    looks: watch.looks,
    loadSeconds,
    drainSeconds,
  };
}

/** Whether every client got its answer and every build its end, within the time there is for it. */
async function drain(answered: () => boolean, watch: Watch, signal: AbortSignal): Promise<boolean> {
  const over = () => answered() && watch.unfinished === 0;
  if (!(await within(drainMs, over, signal))) return false;
  // That look may be older than the last answer.
  const { looks } = watch;
  return within(drainMs, () => watch.looks > looks + 1 && watch.unfinished === 0, signal);
}

/** Whether it came true in time. @throws when the signal aborts */
async function within(ms: number, check: () => boolean, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (!check()) {
    if (performance.now() > deadline) return false;
    await sleep(100, undefined, { signal });
  }
  return true;
}
