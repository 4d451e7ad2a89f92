import { setTimeout as sleep } from 'node:timers/promises';
import type { Goals } from '../goals.ts';
import { type RedisServer, startRedis } from '../redis-server.ts';
import { median, quantile } from '../statistics.ts';
import { now } from './protocol.ts';
import { type System, startSystem, until } from './system.ts';

/** Between two requests: what the first one left to do is over, with Redis and without. */
const pauseMs = 10;
const concurrency = 50;
const longest = { atMost: 1.5 };

interface OutageOptions {
  readonly rounds: number;
  /** Requests before all of the outages of a kind, and as many during them. */
  readonly samples: number;
}

interface Outage {
  readonly name: string;
  begin(redis: RedisServer): void | Promise<void>;
  end(redis: RedisServer): void | Promise<void>;
}

const outages: readonly Outage[] = [
  { name: 'killed', begin: (redis) => redis.kill(), end: (redis) => redis.start() },
  { name: 'paused', begin: (redis) => redis.pause(), end: (redis) => redis.resume() },
];

/** What a POST takes while Redis is away, beside what it took just before. */
export async function measureOutages(
  databaseUrl: string,
  { rounds, samples }: OutageOptions,
  goals: Goals,
): Promise<void> {
  await using redis = await startRedis();
  const servers = { redisUrl: redis.url, databaseUrl };
  // They warn of what is done to them here.
  await using system = await startSystem('cygni', 1, concurrency, servers, 'ignore');
  console.log(`POST before an outage of Redis and during it, ${rounds} outages each`);
  for (const { name, begin, end } of outages) {
    const before: number[] = [];
    const during: number[] = [];
    const ratios: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const usual = await answerTimes(system, samples / rounds);
      await finished(system);
      await begin(redis);
      const away = await answerTimes(system, samples / rounds);
      await end(redis);
      await finished(system);
      if (round === 0) continue;
      before.push(...usual);
      during.push(...away);
      ratios.push(median(away) / median(usual));
    }
    const ratio = median(ratios);
    console.log(
      `  ${name}  p50 ${median(before).toFixed(1)} → ${median(during).toFixed(1)} ms` +
        `  p99 ${quantile(before, 0.99).toFixed(1)} → ${quantile(during, 0.99).toFixed(1)} ms` +
        `  p50 is ${ratio.toFixed(2)} × ${goals.judge(ratio, longest)}`,
    );
  }
}

/** Milliseconds of each of so many requests, one after the other. */
async function answerTimes(system: System, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const from = now();
    await system.post();
    times.push(now() - from);
    await sleep(pauseMs);
  }
  return times;
}

function finished(system: System): Promise<void> {
  return until(() => system.finished.length >= system.posted);
}
