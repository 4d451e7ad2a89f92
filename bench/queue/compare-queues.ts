import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { createEqualBullmq, createPlainBullmq } from './contenders/bullmq.ts';
import type { Contender, CreateContender } from './contenders/contender.ts';
import { createCygni } from './contenders/cygni.ts';
import { createStream } from './contenders/stream.ts';
import type { Goals } from './goals.ts';
import { measureLatency, measureThroughput, type Throughput } from './measure.ts';
import { redisCpu } from './redis-server.ts';
import { median, quantile } from './statistics.ts';

const contenders: readonly CreateContender[] = [
  createCygni,
  createEqualBullmq,
  createPlainBullmq,
  createStream,
];
/** What the goal is measured by: bare BullMQ that is asked for the same as what is wrapped. */
const base = 'BullMQ, same guarantees';
const plain = 'BullMQ, plain';
const share = { atLeast: 0.9 };

export interface QueueOptions {
  readonly rounds: number;
  /** Messages of each contender in each round. */
  readonly messages: number;
  /** Messages of each contender, one after the other, for the latency. */
  readonly samples: number;
}

export async function compareLatency(
  url: string,
  { rounds, samples }: QueueOptions,
): Promise<void> {
  const results = new Map<string, number[]>();
  await inTurn(
    url,
    rounds,
    (contender) => measureLatency(contender, Math.ceil(samples / rounds)),
    (name, latencies) => results.set(name, [...(results.get(name) ?? []), ...latencies]),
  );
  console.log('enqueue to the start of the handler, one message at a time');
  const of = (name: string) => median(results.get(name) ?? []);
  for (const [name, latencies] of results) {
    const [half, most] = [median(latencies), quantile(latencies, 0.99)];
    console.log(
      `  ${name.padEnd(base.length)} p50 ${half.toFixed(2)} ms  p99 ${most.toFixed(2)} ms` +
        `  p50 is ${(half / of(base)).toFixed(2)} × ${base}, ${(half / of(plain)).toFixed(2)} × plain`,
    );
  }
}

export async function compareThroughput(
  url: string,
  concurrency: number,
  { rounds, messages }: QueueOptions,
  goals: Goals,
): Promise<void> {
  const results = new Map<string, Throughput[]>();
  const observer = new Redis(url);
  await inTurn(
    url,
    rounds,
    (contender) => measureThroughput(contender, concurrency, messages, () => redisCpu(observer)),
    (name, throughput) => results.set(name, [...(results.get(name) ?? []), throughput]),
  );
  observer.disconnect();
  console.log(
    `throughput at concurrency ${concurrency}, median of ${rounds} rounds (× ${base}; × plain)`,
  );
  const of = (name: string) => results.get(name) ?? [];
  for (const [name, all] of results) {
    const figures = [
      ...(['through', 'enqueued', 'handled'] as const).map((what) => [what, '/s'] as const),
      ...(['nodeCpu', 'redisCpu'] as const).map((what) => [what, ' µs'] as const),
    ].map(([what, unit]) => {
      const value = median(all.map((each) => each[what])).toFixed(0);
      const ratios = [of(base), of(plain)].map((other) => ratioOf(all, other, what).toFixed(2));
      return `${what} ${value}${unit} (${ratios.join('; ')})`;
    });
    console.log(`  ${name.padEnd(base.length)} ${figures.join('  ')}`);
  }
  const through = ratioOf(of('cygni'), of(base), 'through');
  console.log(
    `  cygni's whole throughput is ${through.toFixed(2)} × ${base} ${goals.judge(through, share)}` +
      `, and ${ratioOf(of('cygni'), of(plain), 'through').toFixed(2)} × plain BullMQ, which guarantees less`,
  );
}

/** Of the same round, for the machine may have been slower in another. */
function ratioOf(
  all: readonly Throughput[],
  others: readonly Throughput[],
  what: keyof Throughput,
): number {
  return median(all.map((each, round) => each[what] / (others[round]?.[what] ?? Number.NaN)));
}

/**
 * Every round measures each of them, in another order each time, so that what else the machine does meets them alike.
 */
async function inTurn<Result>(
  url: string,
  rounds: number,
  work: (contender: Contender) => Promise<Result>,
  keep: (name: string, result: Result) => void,
): Promise<void> {
  // The first round, which is thrown away, loads scripts into Redis and compiles code here.
  for (let round = 0; round <= rounds; round += 1) {
    const first = round % contenders.length;
    for (const create of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const contender = await create(url, `{bench-${randomUUID()}}`);
      const result = await work(contender);
      if (round > 0) keep(contender.name, result);
      await contender.close();
    }
  }
}
