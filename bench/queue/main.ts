import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createBullmq } from './contenders/bullmq.ts';
import type { Contender, CreateContender } from './contenders/contender.ts';
import { createCygni } from './contenders/cygni.ts';
import { createStream } from './contenders/stream.ts';
import { measureLatency, measureThroughput, type Throughput } from './measure.ts';
import { median, quantile } from './statistics.ts';
import { withRedis } from './with-redis.ts';

/**
 * Compares queues on one Redis in one run. Every round measures each of them, in another order each time, so that
 * what else the machine does meets them alike.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    messages: { type: 'string', default: '2000' },
    samples: { type: 'string', default: '900' },
  },
});
const rounds = Number(values.rounds);
const messages = Number(values.messages);
const samples = Number(values.samples);
const concurrencies = [1, 10, 50];
const contenders: readonly CreateContender[] = [createCygni, createBullmq, createStream];

await withRedis(async (url) => {
  await compareLatency(url);
  for (const concurrency of concurrencies) await compareThroughput(url, concurrency);
});
process.exit(0);

async function compareLatency(url: string): Promise<void> {
  const results = new Map<string, number[]>();
  await inTurn(
    url,
    (contender) => measureLatency(contender, Math.ceil(samples / rounds)),
    (name, latencies) => results.set(name, [...(results.get(name) ?? []), ...latencies]),
  );
  console.log('enqueue to the start of the handler, one message at a time');
  const base = median(results.get('bare BullMQ') ?? []);
  for (const [name, latencies] of results) {
    const [half, most] = [median(latencies), quantile(latencies, 0.99)];
    console.log(
      `  ${name.padEnd(12)} p50 ${half.toFixed(2)} ms  p99 ${most.toFixed(2)} ms  p50 is ${(half / base).toFixed(2)} × bare BullMQ`,
    );
  }
}

async function compareThroughput(url: string, concurrency: number): Promise<void> {
  const results = new Map<string, Throughput[]>();
  await inTurn(
    url,
    (contender) => measureThroughput(contender, concurrency, messages),
    (name, throughput) => results.set(name, [...(results.get(name) ?? []), throughput]),
  );
  console.log(
    `throughput at concurrency ${concurrency}, median of ${rounds} rounds (× bare BullMQ)`,
  );
  const bare = results.get('bare BullMQ') ?? [];
  for (const [name, all] of results) {
    const rates = (['through', 'enqueued', 'handled'] as const).map((what) =>
      rate(all, bare, what),
    );
    console.log(`  ${name.padEnd(12)} ${rates.join('  ')}`);
  }
}

function rate(
  all: readonly Throughput[],
  base: readonly Throughput[],
  what: keyof Throughput,
): string {
  const value = median(all.map((each) => each[what]));
  // Of the same round, for the machine may have been slower in another.
  const ratio = median(all.map((each, round) => each[what] / (base[round]?.[what] ?? Number.NaN)));
  return `${what} ${value.toFixed(0)}/s (${ratio.toFixed(2)} ×)`;
}

async function inTurn<Result>(
  url: string,
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
