import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPostgresStore } from '@cygni/store-postgres';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acceptBuild, call, until } from './support/calls.ts';
import { postgresUrl } from './support/test-database.ts';

const program = fileURLToPath(new URL('support/embedded-program.ts', import.meta.url));
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('NOT ROOT: the tests of other users are skipped\n');

describe.skipIf(postgresUrl === null)('startEmbeddedPostgres', () => {
  let directory: string;
  const programs: ChildProcess[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-embedded-'));
  });
  afterEach(async () => {
    for (const child of programs.splice(0)) {
      child.stdin?.end();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await rm(directory, { recursive: true, force: true });
  });

  /** Starts it in another process and returns what that one says. */
  async function startElsewhere(options: SpawnOptions = {}) {
    const args = ['--conditions=cygni-source', program, directory];
    const child = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      ...options,
    });
    programs.push(child);
    if (!child.stdout) throw new Error('no output');
    const [line] = await once(createInterface(child.stdout), 'line');
    const said: { url?: string; error?: string } = JSON.parse(String(line));
    return { child, ...said };
  }

  const postmaster = async () =>
    Number((await readFile(join(directory, 'data/postmaster.pid'), 'utf8')).split('\n')[0]);
  function isAlive(pid: number): boolean {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  }

  /** Nobody may have asked yet how an orphan ended. */
  async function isZombie(pid: number): Promise<boolean> {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    return /^State:\s+Z/m.test(status);
  }

  async function childrenOf(pid: number): Promise<readonly number[]> {
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
    const rows = stdout
      .trim()
      .split('\n')
      .map((row) => row.trim().split(/\s+/).map(Number));
    return rows.flatMap(([child, parent]) => (parent === pid && child ? [child] : []));
  }

  it('keeps what was written, over a stop and a start', async () => {
    const first = await startEmbeddedPostgres({ directory });
    const store = createPostgresStore({ url: first.url });
    const id = await acceptBuild(store);
    await store.close();
    await Promise.all([first.close(), first.close()]);
    expect(existsSync(join(directory, 'data/postmaster.pid'))).toBe(false);

    const second = await startEmbeddedPostgres({ directory });
    const again = createPostgresStore({ url: second.url });
    expect(await again.getBuild('acme', id, call)).toMatchObject({ id });
    await again.close();
    await second.close();
  });

  it('is reached with a password on the loopback address only', async () => {
    const server = await startEmbeddedPostgres({ directory, durable: false });
    expect((await stat(join(directory, 'password'))).mode & 0o777).toBe(0o600);
    const url = new URL(server.url);
    expect(url.hostname).toBe('127.0.0.1');
    url.password = 'guess';
    const stranger = new pg.Client({ connectionString: url.href });
    await expect(stranger.connect()).rejects.toMatchObject({ code: '28P01' });
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    const { rows } = await client.query(
      `SELECT current_setting('listen_addresses') AS address, current_setting('unix_socket_directories') AS sockets`,
    );
    expect(rows).toEqual([{ address: '127.0.0.1', sockets: '' }]);
    await client.end();
    await server.close();
  });

  it('is for one program at a time', async () => {
    const starts = await Promise.allSettled(
      Array.from({ length: 3 }, () => startEmbeddedPostgres({ directory, durable: false })),
    );
    const servers = starts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const refusals = starts.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(servers).toHaveLength(1);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'conflict' });
    expect((await startElsewhere()).error).toContain('is in use by process');
    await servers[0]?.close();
    expect((await startElsewhere()).url).toMatch(/^postgresql:/);
  });

  it('ends soon after its program was killed', async () => {
    const { child } = await startElsewhere();
    const server = await postmaster();
    child.kill('SIGKILL');
    await until(async () => !isAlive(server) || (await isZombie(server)));
  });

  it('ends the server that a killed program left behind', async () => {
    const { child, url } = await startElsewhere();
    const left = await postmaster();
    for (const guard of (await childrenOf(child.pid ?? 0)).filter((pid) => pid !== left)) {
      process.kill(guard, 'SIGKILL');
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    const orphan = new pg.Client({ connectionString: url });
    await orphan.connect();
    orphan.on('error', () => {});

    const server = await startEmbeddedPostgres({ directory, durable: false });
    expect(await postmaster()).not.toBe(left);
    await expect(orphan.query('SELECT 1')).rejects.toThrow();
    await server.close();
  });

  it('ends no other process whose number a stale file names', async () => {
    const first = await startEmbeddedPostgres({ directory, durable: false });
    await first.close();
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(bystander, 'spawn');
    const data = join(directory, 'data');
    const stale = `${bystander.pid}\n${data}\n1\n5432\n\n\n`;
    await writeFile(join(data, 'postmaster.pid'), stale, { mode: 0o600 });
    const second = await startEmbeddedPostgres({ directory, durable: false });
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
    bystander.kill();
    await once(bystander, 'exit');
    await second.close();
  });

  it('recovers after the server itself was killed', async () => {
    const first = await startEmbeddedPostgres({ directory });
    const store = createPostgresStore({ url: first.url });
    const id = await acceptBuild(store);
    process.kill(await postmaster(), 'SIGKILL');
    await until(() =>
      store.ping(call).then(
        () => false,
        () => true,
      ),
    );
    await store.close();
    await first.close();
    const second = await startEmbeddedPostgres({ directory });
    const again = createPostgresStore({ url: second.url });
    expect(await again.getBuild('acme', id, call)).toMatchObject({ id });
    await again.close();
    await second.close();
  });

  it("does not get the signals of the program's terminal", async () => {
    const { child, url } = await startElsewhere({ detached: true });
    // A terminal signals the whole foreground process group. The program takes its time to end.
    process.kill(-(child.pid ?? 0), 'SIGINT');
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('SELECT pg_sleep(0.2)');
    await client.end();
  });

  it('stops starting when it is told to', async () => {
    const abort = new AbortController();
    const starting = startEmbeddedPostgres({ directory, durable: false, signal: abort.signal });
    await until(async () => existsSync(join(directory, 'password')));
    abort.abort();
    await expect(starting).rejects.toMatchObject({ code: 'aborted' });
    const server = await startEmbeddedPostgres({ directory, durable: false });
    await server.close();
  });

  it('says why a server does not start', async () => {
    const first = await startEmbeddedPostgres({ directory, durable: false });
    const port = Number(new URL(first.url).port);
    const other = await mkdtemp(join(tmpdir(), 'cygni-embedded-'));
    await expect(
      startEmbeddedPostgres({ directory: other, durable: false, port }),
    ).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('in use') });
    await first.close();
    await rm(other, { recursive: true, force: true });
  });

  it.skipIf(!isRoot)('runs for an ordinary user', async () => {
    const [uid, gid] = [65_534, 65_534];
    await chown(directory, uid, gid);
    const { url, error } = await startElsewhere({ uid, gid });
    expect(error).toBeUndefined();
    expect((await stat(join(directory, 'data'))).uid).toBe(uid);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.end();
  });

  it.skipIf(!isRoot)('runs for root without changing the owner of files', async () => {
    const server = await startEmbeddedPostgres({ directory, durable: false });
    expect((await stat(join(directory, 'data'))).uid).toBe(0);
    await server.close();
  });

  it.skipIf(!isRoot)('runs for root as nobody where there are no user namespaces', async () => {
    const bin = join(directory, 'bin');
    await mkdir(bin);
    for (const tool of ['chown', 'locale', 'sh']) {
      const path = [`/usr/bin/${tool}`, `/bin/${tool}`].find(existsSync);
      if (path) await symlink(path, join(bin, tool));
    }
    await chmod(directory, 0o755);
    const env = { PATH: bin };
    const { url, error } = await startElsewhere({ env });
    expect(error).toBeUndefined();
    expect((await stat(join(directory, 'data'))).uid).toBe(65_534);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.end();
  });
});
