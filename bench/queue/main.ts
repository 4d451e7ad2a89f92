import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { startServer } from '../store/server.ts';
import { createCarefulBullmq, createPlainBullmq } from './contenders/bullmq.ts';
import type { Contender, CreateContender } from './contenders/contender.ts';
import { createCygni } from './contenders/cygni.ts';
import { createStream } from './contenders/stream.ts';
import { measureLatency, measureThroughput, type Throughput } from './measure.ts';
import { weighBacklog } from './path/backlog.ts';
import { comparePaths } from './path/compare-paths.ts';
import { median, quantile } from './statistics.ts';
import { redisCpu, withRedis } from './with-redis.ts';

/**
 * Compares queues on one Redis in one run. Every round measures each of them, in another order each time, so that
 * what else the machine does meets them alike.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    messages: { type: 'string', default: '2000' },
    samples: { type: 'string', default: '900' },
    builds: { type: 'string', default: '400' },
    backlog: { type: 'string', default: '1000000' },
    /** Which of them, separated by commas. */
    only: { type: 'string', default: 'latency,throughput,path,backlog' },
  },
});
const rounds = Number(values.rounds);
const messages = Number(values.messages);
const samples = Number(values.samples);
const builds = Number(values.builds);
const wanted = new Set(values.only.split(','));
const concurrencies = [1, 10, 50];
const contenders: readonly CreateContender[] = [
  createCygni,
  createCarefulBullmq,
  createPlainBullmq,
  createStream,
];

await withRedis(async (url) => {
  if (wanted.has('latency')) await compareLatency(url);
  if (wanted.has('throughput')) {
    for (const concurrency of concurrencies) await compareThroughput(url, concurrency);
  }
  if (!wanted.has('path') && !wanted.has('backlog')) return;
  await using postgres = await startServer();
  const servers = { redisUrl: url, databaseUrl: postgres.url };
  if (wanted.has('path')) await comparePaths(servers, { rounds, builds, samples: samples / 3 });
  if (wanted.has('backlog')) await weighBacklog(servers, Number(values.backlog));
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
      `  ${name.padEnd(14)} p50 ${half.toFixed(2)} ms  p99 ${most.toFixed(2)} ms  p50 is ${(half / base).toFixed(2)} × bare BullMQ`,
    );
  }
}

async function compareThroughput(url: string, concurrency: number): Promise<void> {
  const results = new Map<string, Throughput[]>();
  const observer = new Redis(url);
  await inTurn(
    url,
    (contender) => measureThroughput(contender, concurrency, messages, () => redisCpu(observer)),
    (name, throughput) => results.set(name, [...(results.get(name) ?? []), throughput]),
  );
  observer.disconnect();
  console.log(
    `throughput at concurrency ${concurrency}, median of ${rounds} rounds (× bare BullMQ)`,
  );
  const bare = results.get('bare BullMQ') ?? [];
  for (const [name, all] of results) {
    const rates = (['through', 'enqueued', 'handled'] as const).map((what) =>
      figure(all, bare, what, '/s'),
    );
    const costs = (['nodeCpu', 'redisCpu'] as const).map((what) => figure(all, bare, what, ' µs'));
    console.log(`  ${name.padEnd(14)} ${[...rates, ...costs].join('  ')}`);
  }
}

function figure(
  all: readonly Throughput[],
  base: readonly Throughput[],
  what: keyof Throughput,
  unit: string,
): string {
  const value = median(all.map((each) => each[what]));
  // Of the same round, for the machine may have been slower in another.
  const ratio = median(all.map((each, round) => each[what] / (base[round]?.[what] ?? Number.NaN)));
  return `${what} ${value.toFixed(0)}${unit} (${ratio.toFixed(2)} ×)`;
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
