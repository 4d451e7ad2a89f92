import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startServer } from '../store/server.ts';
import { getBuild, postBuilds, type Rate } from './load.ts';
import type { Role } from './protocol.ts';
import { startServerProcess } from './server-process.ts';
import { followBuild } from './streams.ts';

/**
 * What the API costs over a bare handler with one durable insert, on the same PostgreSQL, in one run; and what 1,000
 * readers of one build's log cost. `--profile` writes a CPU profile of the API's process into the working directory.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    readers: { type: 'string', default: '1000' },
    profile: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const readers = Number(values.readers);
const goal = { share: 0.4, tail: 5 };

await using postgres = await startServer();

async function createDatabase(): Promise<string> {
  const name = `bench_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const url = new URL(postgres.url);
  url.pathname = name;
  return url.href;
}

async function start(role: Omit<Role, 'databaseUrl'>) {
  const profiled = values.profile && role.system === 'cygni' && !role.chatter;
  const options = profiled ? ['--cpu-prof'] : [];
  return startServerProcess({ ...role, databaseUrl: await createDatabase() }, options);
}

function print(name: string, { perSecond, p50, p99, cpuMsPerRequest }: Rate): void {
  const tail = (p99 / p50).toFixed(1);
  console.log(
    `${name.padEnd(22)} ${perSecond.toFixed(0).padStart(6)}/s  p50 ${p50} ms  p99 ${p99} ms (${tail} x p50)  ${cpuMsPerRequest.toFixed(2)} ms of CPU each`,
  );
}

const shares: number[] = [];
const tails: number[] = [];
{
  await using bare = await start({ system: 'bare', chatter: null });
  await using cygni = await start({ system: 'cygni', chatter: null });
  await postBuilds(bare, 2);
  await postBuilds(cygni, 2);
  for (let round = 0; round < rounds; round += 1) {
    const without = await postBuilds(bare, seconds);
    const full = await postBuilds(cygni, seconds);
    print('bare handler', without);
    print('POST /v1/builds', full);
    shares.push(full.perSecond / without.perSecond);
    tails.push(full.p99 / full.p50);
  }
  print('GET /v1/builds/{id}', await getBuild(cygni, seconds));
}

const middle = (list: readonly number[]) => list.toSorted()[Math.floor(list.length / 2)] ?? 0;
const share = middle(shares);
const tail = middle(tails);
console.log(
  `POST /v1/builds: ${(share * 100).toFixed(0)} % of the bare handler's rate (goal: at least ${goal.share * 100} %) ${share >= goal.share ? 'met' : 'MISSED'}`,
);
console.log(
  `POST /v1/builds: p99 is ${tail.toFixed(1)} x p50 (goal: under ${goal.tail}) ${tail < goal.tail ? 'met' : 'MISSED'}`,
);

if (readers > 0) {
  const chatter = { linesPerSecond: 40, seconds: 10 };
  await using chatty = await start({ system: 'cygni', chatter });
  const few = await followBuild(chatty, 1);
  const many = await followBuild(chatty, readers);
  for (const each of [few, many]) {
    const { begin, most } = each.residentMib;
    console.log(
      `${each.readers} readers of one build: ${each.lines} lines each in ${each.seconds.toFixed(1)} s; server: ${begin.toFixed(0)} MiB, at most ${most.toFixed(0)} MiB, ${(each.cpuShare * 100).toFixed(0)} % of a core`,
    );
  }
}
