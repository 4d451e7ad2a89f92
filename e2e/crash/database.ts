import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import pg from 'pg';
import { z } from 'zod';
import type { Random } from './random.ts';

export interface CrashableDatabase {
  readonly url: string;
  /** Past the store, as an administrator would. A restart ends its connections too: callers try again. */
  query(text: string, values?: readonly unknown[]): Promise<readonly unknown[]>;
  /** `fast` disconnects everybody and ends in order; `immediate` is a crash, with recovery at the next start. */
  restart(how: 'fast' | 'immediate'): Promise<void>;
  /** SIGKILL to one of its processes: the server throws everybody out and recovers by itself. False: there was none. */
  killBackend(random: Random): Promise<boolean>;
  /** What is being done to it is finished first. */
  close(): Promise<void>;
}

const recoveryMs = 30_000;
const pidSchema = z.object({ pid: z.int().min(2) });
const portOf = (url: string) => Number(new URL(url).port);

/** A real PostgreSQL of the run's own, durable, so that a crash of it is an honest one. */
export async function startDatabase(
  directory: string,
  signal: AbortSignal,
): Promise<CrashableDatabase> {
  let server = await startEmbeddedPostgres({ directory, signal });
  const { url } = server;
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    connectionTimeoutMillis: 3_000,
    query_timeout: 20_000,
    application_name: 'crash test',
  });
  pool.on('error', () => {});
  async function query(text: string, values: readonly unknown[] = []): Promise<readonly unknown[]> {
    const client = await pool.connect();
    // Without a listener, a connection that dies while it is checked out would end this program.
    let broken = false;
    const onError = () => {
      broken = true;
    };
    client.on('error', onError);
    try {
      return (await client.query<Record<string, unknown>>(text, [...values])).rows;
    } catch (error) {
      broken = true;
      throw error;
    } finally {
      client.removeListener('error', onError);
      client.release(broken);
    }
  }

  let disturbing: Promise<void> | undefined;

  async function restart(how: 'fast' | 'immediate'): Promise<void> {
    if (how === 'immediate') {
      const [pid] = (await readFile(join(directory, 'data', 'postmaster.pid'), 'utf8')).split('\n');
      process.kill(Number(pid), 'SIGQUIT');
    }
    await server.close();
    server = await startEmbeddedPostgres({ directory, port: portOf(url) });
  }

  async function killBackend(random: Random): Promise<boolean> {
    const backends = `SELECT pid FROM pg_stat_activity WHERE application_name = 'cygni'`;
    const rows = await query(backends).catch(() => []);
    const pids = rows.map((row) => pidSchema.parse(row).pid);
    if (pids.length === 0) return false;
    process.kill(random.pick(pids), 'SIGKILL');
    await recovery();
    return true;
  }

  /** PostgreSQL 18, asked to end in the middle of a recovery, may hang until it is ended for good. */
  async function recovery(): Promise<void> {
    const deadline = performance.now() + recoveryMs;
    while (performance.now() < deadline) {
      await sleep(200);
      const answers = await query('SELECT 1').then(
        () => true,
        () => false,
      );
      if (answers) return;
    }
    throw new Error(`PostgreSQL has not recovered within ${recoveryMs} ms`);
  }

  function disturb<Result>(work: Promise<Result>): Promise<Result> {
    disturbing = work.then(
      () => {},
      () => {},
    );
    return work;
  }

  return {
    url,
    query,
    restart: (how) => disturb(restart(how)),
    killBackend: (random) => disturb(killBackend(random)),
    async close() {
      await disturbing;
      await pool.end();
      await server.close();
    },
  };
}
