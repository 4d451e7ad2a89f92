import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Deployer } from '@cygni/core';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalDeployer } from '../src/index.ts';
import { identify } from '../src/process-identity.ts';
import { eventually } from './fixtures/eventually.ts';
import { call, key, text } from './fixtures/harness.ts';
import { createMemoryImages } from './fixtures/memory-images.ts';
import { isRunning, namespaceOf } from './fixtures/processes.ts';
import { startServer } from './fixtures/server-process.ts';
import { available, compileBehave, runs } from './fixtures/tool.ts';

const behave = compileBehave();
const ready =
  available('gcc with a static C library', behave !== null) &&
  available('unshare', runs('unshare', ['--user', '--map-root-user', '--pid', '--fork', 'true']));

interface SavedProcess {
  pid: number;
  startTime: string;
  bootId: string;
}

describe.skipIf(!ready)('a deployer that is opened after a crash of the server', () => {
  let directory: string;
  let deployer: Deployer;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-recovery-'));
    deployer = createLocalDeployer({
      runtime: 'namespaces',
      images: createMemoryImages(),
      directory,
    });
  });
  afterEach(async () => {
    await deployer.close();
    await rm(directory, { recursive: true, force: true });
  });
  afterAll(() => behave?.remove());

  const server = () => startServer({ directory, binary: behave?.path ?? '' });
  const statePath = () => join(directory, 'state.json');
  async function savedProcess(): Promise<SavedProcess> {
    return JSON.parse(await readFile(statePath(), 'utf8')).revisions[0].process;
  }
  async function rewriteProcess(change: (saved: SavedProcess) => void): Promise<void> {
    const state = JSON.parse(await readFile(statePath(), 'utf8'));
    change(state.revisions[0].process);
    await writeFile(statePath(), JSON.stringify(state));
  }

  it('adopts an instance that still answers, with its traffic, and ends it when it closes', async () => {
    const { url, instance, digest, crash } = await server();
    await crash();
    const { pid } = await savedProcess();
    const all = namespaceOf(pid);
    expect(all.length).toBeGreaterThanOrEqual(3);

    await deployer.open(call());
    expect(await text(url)).toBe('hello from one');
    const found = await eventually('healthy again', async () => {
      const observation = await deployer.observe(key, call());
      return observation.instances[0]?.health === 'healthy' && observation;
    });
    expect(found).toMatchObject({ url, traffic: [{ revision: 1, percent: 100 }] });
    expect(found.instances).toMatchObject([{ id: instance, state: 'running', digest }]);
    expect(await deployer.tailLogs({ ...key, revision: 1 }, 1, call())).toMatchObject([
      expect.stringContaining('listening on'),
    ]);

    await deployer.close();
    expect(all.filter(isRunning)).toEqual([]);
  });

  it('reports how an adopted instance ended', async () => {
    const { url, crash } = await server();
    await crash();
    await deployer.open(call());
    await text(`${url}/exit/3`);
    const reason = await eventually('exited', async () => {
      const [found] = (await deployer.observe(key, call())).instances;
      return found?.state === 'exited' && found.reason;
    });
    expect(reason).toBe('exit code 3');
  });

  it('ends an instance that has lost its port', async () => {
    const { crash } = await server();
    await crash();
    const { pid } = await savedProcess();
    const state = JSON.parse(await readFile(statePath(), 'utf8'));
    state.revisions[0].port = 1;
    await writeFile(statePath(), JSON.stringify(state));
    const all = namespaceOf(pid);
    await deployer.open(call());
    expect(all.filter(isRunning)).toEqual([]);
    expect((await deployer.observe(key, call())).instances).toEqual([]);
  });

  it('leaves a stranger alone that got the pid of an instance meanwhile', async () => {
    const { crash } = await server();
    await crash();
    const real = await savedProcess();
    const stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
    const pid = stranger.pid ?? 0;
    try {
      await rewriteProcess((saved) => {
        saved.pid = pid;
      });
      await deployer.open(call());
      expect((await deployer.observe(key, call())).instances).toEqual([]);
      await deployer.close();
      expect(isRunning(pid)).toBe(true);
    } finally {
      stranger.kill('SIGKILL');
      process.kill(real.pid, 'SIGKILL');
    }
    await eventually('the instance is gone', () => !isRunning(real.pid));
  });

  it('takes a process of an earlier boot for gone', async () => {
    const { crash } = await server();
    await crash();
    const real = await savedProcess();
    await rewriteProcess((saved) => {
      saved.bootId = '00000000-0000-0000-0000-000000000000';
    });
    await deployer.open(call());
    expect((await deployer.observe(key, call())).instances).toEqual([]);
    expect(identify(real.pid)?.startTime).toBe(real.startTime);
    process.kill(real.pid, 'SIGKILL');
    await eventually('the instance is gone', () => !isRunning(real.pid));
  });

  it('refuses to open while that server is alive', async () => {
    const { close } = await server();
    await expect(deployer.open(call())).rejects.toMatchObject({ code: 'conflict' });
    await close();
    await deployer.open(call());
  });

  it('refuses a state file that is not one, and leaves it as it is', async () => {
    await writeFile(statePath(), '{"version":1');
    await expect(deployer.open(call())).rejects.toMatchObject({ code: 'integrity' });
    expect(await readFile(statePath(), 'utf8')).toBe('{"version":1');
  });

  it('deletes what was half unpacked', async () => {
    const { crash } = await server();
    await crash();
    await writeFile(join(directory, 'roots', 'left.tmp'), '');
    await chmod(join(directory, 'roots'), 0o700);
    await deployer.open(call());
    expect(await readdir(join(directory, 'roots'))).toHaveLength(1);
  });
});
