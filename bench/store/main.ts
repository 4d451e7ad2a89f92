import { parseArgs } from 'node:util';
import { createPostgresStore } from '@cygni/store-postgres';
import pg from 'pg';
import { benchAccept } from './accept.ts';
import { addHistory, prepareBuilds } from './builds.ts';
import { call } from './call.ts';
import { benchClaims } from './claim.ts';
import { benchLogs } from './logs.ts';
import { benchPages } from './pages.ts';
import { median, medianRatio } from './rounds.ts';
import { startServer } from './server.ts';
import { type Figure, tableOf } from './table.ts';

/**
 * How fast the PostgreSQL store is, as ratios to what the same server does meanwhile: nothing else can be compared
 * between machines, or between two hours of one. Exit code 1: a goal was missed.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '0.6' },
    clients: { type: 'string', default: '50' },
    builds: { type: 'string', default: '1000000' },
  },
});
const [rounds, seconds, clients, history] = [
  values.rounds,
  values.seconds,
  values.clients,
  values.builds,
].map(Number) as [number, number, number, number];
/** Of the bare insertion's pool and of the store's. */
const connections = 20;
/** Builds that write their logs at once. */
const writers = 16;

const percent = (ratio: number) => `${(100 * ratio).toFixed(0)} %`;
const perSecondOf = (rates: readonly number[]) => `${median(rates).toFixed(0)}/s`;
const figures: Figure[] = [];

await using server = await startServer();
const pool = new pg.Pool({ connectionString: server.url, max: connections });
pool.on('error', () => {});
const store = createPostgresStore({ url: server.url, poolSize: connections });
try {
  await store.open(call);
  const builds = await prepareBuilds(pool);
  process.stderr.write('logs …\n');
  const logs = await benchLogs(store, pool, builds, writers, { rounds, seconds });
  const appendRate = median(logs.rates.append);
  figures.push(
    {
      what: `bare insert of logs, ${writers} writers`,
      figure: `${median(logs.rates.bare).toFixed(0)} MB/s`,
    },
    {
      what: `log append, ${writers} builds`,
      figure: `${appendRate.toFixed(0)} MB/s`,
      ratio: percent(medianRatio(logs.rates.append, logs.rates.bare)),
      goal: '≥ 50 MB/s',
      met: appendRate >= 50,
    },
    {
      what: `  memory, over ${logs.appendedMegabytes.toFixed(0)} MB`,
      figure: `${logs.growthMegabytes >= 0 ? '+' : ''}${logs.growthMegabytes.toFixed(0)} MB`,
      goal: '≤ +32 MB',
      met: logs.growthMegabytes <= 32,
    },
  );

  process.stderr.write(`writing ${history} builds …\n`);
  for (let written = 0; written < history; written += 100_000) {
    await addHistory(pool, Math.min(100_000, history - written));
  }
  await pool.query('VACUUM ANALYZE');
  await pool.query('CHECKPOINT');

  process.stderr.write('pages …\n');
  const pages = await benchPages(store, pool, { rounds, seconds: seconds / 2 });
  const slowdown = medianRatio(pages.first, pages.deep);
  figures.push(
    { what: 'list: page 1', figure: perSecondOf(pages.first) },
    {
      what: 'list: page 10,000',
      figure: perSecondOf(pages.deep),
      ratio: `${slowdown.toFixed(2)} × the time`,
      goal: '≤ 1.5 ×',
      met: slowdown <= 1.5,
    },
  );

  for (const count of [1, clients]) {
    process.stderr.write(`acceptances, ${count} at once …\n`);
    const rates = await benchAccept(store, pool, builds, count, { rounds, seconds });
    const [hot, spread] = [
      medianRatio(rates.hot, rates.bare),
      medianRatio(rates.spread, rates.bare),
    ];
    const who = count === 1 ? '1 client' : `${count} clients`;
    const judged = (ratio: number, goal: number) =>
      count === clients ? { goal: `≥ ${percent(goal)}`, met: ratio >= goal } : {};
    figures.push(
      { what: `bare insert, ${who}`, figure: perSecondOf(rates.bare) },
      {
        what: `accept, ${who}, 50 tenants`,
        figure: perSecondOf(rates.spread),
        ratio: percent(spread),
        ...judged(spread, 0.5),
      },
      {
        what: `accept, ${who}, 1 tenant`,
        figure: perSecondOf(rates.hot),
        ratio: percent(hot),
        ...judged(hot, 0.25),
      },
    );
  }

  process.stderr.write('claims …\n');
  const claims = await benchClaims(store, pool, builds, clients, { rounds: 3, seconds });
  figures.push({ what: `claim + finish, ${clients} clients`, figure: perSecondOf(claims) });
} finally {
  await store.close();
  await pool.end();
}
process.stdout.write(`${tableOf(figures)}\n`);
process.exitCode = figures.some(({ met }) => met === false) ? 1 : 0;
