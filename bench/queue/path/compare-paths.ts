import type { Goals } from '../goals.ts';
import { median, quantile } from '../statistics.ts';
import { now } from './protocol.ts';
import { type Servers, type System, startSystem, until } from './system.ts';

/** Requests at once. */
const clients = 64;
/** Builds that each worker process has in hand at once. */
const concurrency = 50;
const systems = ['cygni', 'hand-written loop'] as const;
const goal = { share: { atLeast: 0.5 }, startMs: { under: 15 } };

export interface PathOptions {
  readonly rounds: number;
  /** Builds in each round. */
  readonly builds: number;
  /** Builds one after the other, for the latency. */
  readonly samples: number;
}

/** From POST to finished, with one worker process and with two, beside the loop that one writes by hand. */
export async function comparePaths(
  servers: Servers,
  options: PathOptions,
  goals: Goals,
): Promise<void> {
  for (const workers of [1, 2]) {
    await using stack = new AsyncDisposableStack();
    const running: System[] = [];
    for (const name of systems) {
      running.push(stack.use(await startSystem(name, workers, concurrency, servers)));
    }
    if (workers === 1) await compareLatency(running, options, goals);
    await compareRates(running, workers, options, goals);
  }
}

async function compareLatency(
  running: readonly System[],
  options: PathOptions,
  goals: Goals,
): Promise<void> {
  const { rounds, samples } = options;
  const latencies = new Map(running.map(({ name }): [string, number[]] => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const system of inTurn(running, round)) {
      for (let index = 0; index < samples / rounds; index += 1) {
        const latency = await latencyOf(system);
        if (round > 0) latencies.get(system.name)?.push(latency);
      }
    }
  }
  console.log('POST to the start of the pipeline, one build at a time');
  for (const [name, of] of latencies) {
    const [half, most] = [median(of), quantile(of, 0.99)];
    const verdict = name === 'cygni' ? goals.judge(half, goal.startMs, ' ms') : '';
    console.log(
      `  ${name.padEnd(17)} p50 ${half.toFixed(1)} ms ${verdict}  p99 ${most.toFixed(1)} ms`,
    );
  }
}

async function latencyOf(system: System): Promise<number> {
  const before = system.finished.length;
  const from = now();
  await system.post();
  await until(() => system.finished.length > before);
  return (system.started.at(-1) ?? Number.NaN) - from;
}

interface Round {
  readonly perSecond: number;
  readonly cpuMs: number;
}

async function compareRates(
  running: readonly System[],
  workers: number,
  { rounds, builds }: PathOptions,
  goals: Goals,
): Promise<void> {
  const results = new Map(running.map(({ name }): [string, Round[]] => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const system of inTurn(running, round)) {
      const result = await measure(system, builds);
      if (round > 0) results.get(system.name)?.push(result);
    }
  }
  const loop = results.get('hand-written loop') ?? [];
  console.log(
    `POST to finished, ${clients} clients, worker processes: ${workers}, median of ${rounds} rounds (× hand-written loop)`,
  );
  for (const [name, all] of results) {
    const figure = (what: keyof Round) => median(all.map((each) => each[what]));
    const ratio = (what: keyof Round) =>
      median(all.map((each, round) => each[what] / (loop[round]?.[what] ?? Number.NaN)));
    const verdict = name === 'cygni' ? ` ${goals.judge(ratio('perSecond'), goal.share)}` : '';
    console.log(
      `  ${name.padEnd(17)} ${figure('perSecond').toFixed(0)} builds/s (${ratio('perSecond').toFixed(2)} ×)${verdict}` +
        `  ${figure('cpuMs').toFixed(2)} ms of Node's CPU a build (${ratio('cpuMs').toFixed(2)} ×)`,
    );
  }
}

async function measure(system: System, builds: number): Promise<Round> {
  const before = system.finished.length;
  const usedBefore = await system.cpuMs();
  const from = now();
  let left = builds;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (left > 0) {
        left -= 1;
        await system.post();
      }
    }),
  );
  await until(() => system.finished.length >= before + builds);
  const seconds = ((system.finished.at(-1) ?? Number.NaN) - from) / 1000;
  const cpuMs = ((await system.cpuMs()) - usedBefore) / builds;
  return { perSecond: builds / seconds, cpuMs };
}

/** Another one first each time. */
function inTurn(running: readonly System[], round: number): readonly System[] {
  const first = round % running.length;
  return [...running.slice(first), ...running.slice(0, first)];
}
