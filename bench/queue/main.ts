import { parseArgs } from 'node:util';
import { startServer } from '../store/server.ts';
import { compareLatency, compareThroughput } from './compare-queues.ts';
import { createGoals } from './goals.ts';
import { weighBacklog } from './path/backlog.ts';
import { comparePaths } from './path/compare-paths.ts';
import { measureOutages } from './path/outage.ts';
import { startRedis } from './redis-server.ts';

/**
 * Compares queues on one Redis in one run: that of REDIS_URL, else one of its own. An outage is always one of its own.
 * Exit code 1: a goal was missed.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    messages: { type: 'string', default: '4000' },
    samples: { type: 'string', default: '900' },
    builds: { type: 'string', default: '400' },
    backlog: { type: 'string', default: '1000000' },
    /** Which of them, separated by commas. */
    only: { type: 'string', default: 'latency,throughput,path,outage,backlog' },
  },
});
const rounds = Number(values.rounds);
const samples = Number(values.samples);
const wanted = new Set(values.only.split(','));
const concurrencies = [1, 10, 50];
const goals = createGoals();

await compare();
if (goals.missed > 0) console.log(`goals missed: ${goals.missed}`);
// Contenders leave timers and connections behind.
process.exit(goals.missed > 0 ? 1 : 0);

async function compare(): Promise<void> {
  await using own = process.env.REDIS_URL ? null : await startRedis();
  const redisUrl = own?.url ?? process.env.REDIS_URL ?? '';
  const options = { rounds, samples, messages: Number(values.messages) };
  if (wanted.has('latency')) await compareLatency(redisUrl, options);
  if (wanted.has('throughput')) {
    for (const concurrency of concurrencies) {
      // What goes faster is measured for as long: of half a second a tenth is chance.
      const messages = options.messages * (concurrency > 1 ? 3 : 1);
      await compareThroughput(redisUrl, concurrency, { ...options, messages }, goals);
    }
  }
  if (!['path', 'outage', 'backlog'].some((part) => wanted.has(part))) return;
  await using postgres = await startServer();
  const servers = { redisUrl, databaseUrl: postgres.url };
  if (wanted.has('path')) {
    const builds = Number(values.builds);
    await comparePaths(servers, { rounds, builds, samples: samples / 3 }, goals);
  }
  if (wanted.has('outage')) await measureOutages(postgres.url, { rounds, samples }, goals);
  if (wanted.has('backlog')) await weighBacklog(servers, Number(values.backlog), goals);
}
