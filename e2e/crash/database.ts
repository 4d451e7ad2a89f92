import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import pg from 'pg';
import type { Random } from './random.ts';

export interface CrashableDatabase {
  readonly url: string;
  /** Past the store, as an administrator would. A restart ends its connections too: callers try again. */
  query(text: string, values?: readonly unknown[]): Promise<readonly unknown[]>;
  /** `fast` disconnects everybody and ends in order; `immediate` is a crash, with recovery at the next start. */
  restart(how: 'fast' | 'immediate'): Promise<void>;
  /** SIGKILL to one of its processes: the server throws everybody out and recovers by itself. */
  killBackend(random: Random): Promise<void>;
  close(): Promise<void>;
}

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

  return {
    url,
    query,
    async restart(how) {
      if (how === 'immediate') {
        const [pid] = (await readFile(join(directory, 'data', 'postmaster.pid'), 'utf8')).split(
          '\n',
        );
        process.kill(Number(pid), 'SIGQUIT');
      }
      await server.close();
      server = await startEmbeddedPostgres({ directory, port: portOf(url), signal });
    },
    async killBackend(random) {
      const rows = await query(
        `SELECT pid FROM pg_stat_activity WHERE application_name = 'cygni' AND pid <> pg_backend_pid()`,
      );
      const pids = rows.map((row) => Number(Object(row).pid)).filter((pid) => pid > 1);
      if (pids.length > 0) process.kill(random.pick(pids), 'SIGKILL');
    },
    async close() {
      await pool.end();
      await server.close();
    },
  };
}
