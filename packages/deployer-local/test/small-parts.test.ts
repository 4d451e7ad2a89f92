import { appendFile, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageConfig } from '@cygni/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeExit } from '../src/exit-reason.ts';
import { expandVariables } from '../src/expand-variables.ts';
import { composeCommand } from '../src/image-command.ts';
import { createLocalDeployer } from '../src/index.ts';
import { createKeyedLock } from '../src/keyed-lock.ts';
import { boundLog, tailLog } from '../src/log-file.ts';
import { mergeLogs } from '../src/merge-logs.ts';
import { identify, isAlive, signalProcess } from '../src/process-identity.ts';
import { createStateFile } from '../src/state-file.ts';
import { createMemoryImages } from './fixtures/memory-images.ts';

const image = (config: ImageConfig['config']): ImageConfig => ({
  os: 'linux',
  architecture: 'amd64',
  config,
  rootfs: { type: 'layers', diff_ids: [] },
});

describe('arguments', () => {
  it('are expanded as Kubernetes does it', () => {
    const environment = { PORT: '80', EMPTY: '', RECURSIVE: '$(PORT)' };
    const cases: [string, string][] = [
      ['$(PORT)', '80'],
      ['a$(PORT)b$(PORT)', 'a80b80'],
      ['$$(PORT)', '$(PORT)'],
      ['$$$(PORT)', '$80'],
      ['$(EMPTY)', ''],
      ['$(RECURSIVE)', '$(PORT)'],
      ['$(UNKNOWN) $PORT $( $ )', '$(UNKNOWN) $PORT $( $ )'],
      ['$(constructor)', '$(constructor)'],
    ];
    for (const [text, expanded] of cases) expect(expandVariables(text, environment)).toBe(expanded);
  });

  it("replace the image's command but not its entry point", () => {
    const config = image({
      Entrypoint: ['/a'],
      Cmd: ['b', '$(PORT)'],
      Env: ['X=1', 'PORT=1', 'Y'],
    });
    const plain = composeCommand(config, { environment: {}, arguments: null }, 80);
    expect(plain.argv).toEqual(['/a', 'b', '80']);
    expect(plain.environment).toMatchObject({ X: '1', PORT: '80' });
    const given = composeCommand(config, { environment: { X: '2' }, arguments: ['$(X)'] }, 80);
    expect(given.argv).toEqual(['/a', '2']);
    expect(() => composeCommand(image({}), { environment: {}, arguments: null }, 80)).toThrow(
      /no command/,
    );
  });
});

describe('an exit status', () => {
  it('is told as a code or a signal', () => {
    expect(describeExit(0)).toBe('exit code 0');
    expect(describeExit(1)).toBe('exit code 1');
    expect(describeExit(137)).toBe('signal SIGKILL');
    expect(describeExit(139)).toBe('signal SIGSEGV');
    expect(describeExit(255)).toBe('exit code 255');
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cygni-parts-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('of a log keep their end and a bound', async () => {
    const path = join(folder, 'log');
    expect(await tailLog(path, 5)).toEqual([]);
    const lines = Array.from({ length: 30_000 }, (_, index) => `line ${index} ${'x'.repeat(20)}`);
    await writeFile(path, `${lines.join('\n')}\n`);
    expect(await tailLog(path, 3)).toEqual(lines.slice(-3));
    expect(await tailLog(path, 10_000)).toEqual(lines.slice(-10_000));
    await boundLog(path, 100_000);
    expect((await stat(path)).size).toBe(0);
    expect((await stat(`${path}.1`)).size).toBeLessThanOrEqual(200_000);
    await appendFile(path, 'after\nunfinished');
    expect(await tailLog(path, 4)).toEqual([...lines.slice(-2), 'after', 'unfinished']);
    expect(await tailLog(path, 0)).toEqual([]);
  });

  it('of the state are replaced as a whole, in the order of the saves', async () => {
    const file = createStateFile(folder);
    expect(await file.load()).toEqual({ version: 1, services: [], revisions: [] });
    const service = (port: number) => ({
      version: 1 as const,
      services: [{ tenantId: 'a', service: 'b', port, traffic: [] }],
      revisions: [],
    });
    await Promise.all([1, 2, 3, 4, 5].map((port) => file.save(service(port))));
    expect(await file.load()).toEqual(service(5));
    expect(await readdir(folder)).toEqual(['state.json']);
    expect((await stat(join(folder, 'state.json'))).mode & 0o777).toBe(0o600);
  });
});

describe('logs of two streams', () => {
  it('are merged by time', () => {
    const first = '2026-01-01T00:00:01.000000000Z a\n2026-01-01T00:00:03.000000000Z c\n';
    const second = '2026-01-01T00:00:02.000000000Z b b\r\n2026-01-01T00:00:04.000000000Z \n';
    expect(mergeLogs([first, second], 3)).toEqual(['b b', 'c', '']);
  });
});

describe('a lock by key', () => {
  it('runs one thing after another, also after a failure, and other keys beside', async () => {
    const lock = createKeyedLock();
    const order: string[] = [];
    let release = () => {};
    const first = lock('a', async () => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      order.push('first');
      throw new Error('failed');
    });
    const second = lock('a', async () => order.push('second'));
    await lock('b', async () => order.push('beside'));
    release();
    await expect(first).rejects.toThrow('failed');
    await second;
    expect(order).toEqual(['beside', 'first', 'second']);
  });
});

describe.runIf(process.platform === 'linux')('the identity of a process', () => {
  it('is its own, and nobody with another one gets its signals', () => {
    const self = identify(process.pid);
    if (!self) throw new Error('this process has no identity');
    expect(isAlive(self)).toBe(true);
    const earlier = { ...self, startTime: '1' };
    expect(isAlive(earlier)).toBe(false);
    expect(signalProcess(earlier, 'SIGKILL')).toBe(false);
    expect(identify(4_194_305)).toBeNull();
  });
});

describe('options', () => {
  it('are checked, by name and without their values', () => {
    const images = createMemoryImages();
    expect(() => createLocalDeployer({ images, directory: '' })).toThrow(/directory/);
    expect(() => createLocalDeployer({ images, directory: 'x', host: 'secret.example' })).toThrow(
      expect.objectContaining({
        code: 'invalid_configuration',
        message: expect.not.stringContaining('secret'),
      }),
    );
  });

  it('make a deployer that does nothing until it is opened, and can be closed at once', async () => {
    const deployer = createLocalDeployer({
      images: createMemoryImages(),
      directory: '/nowhere/at/all',
    });
    expect(deployer.name).toBe('local (auto)');
    expect(deployer.supports.split).toBe(true);
    await deployer.close();
    await deployer.close();
  });
});
