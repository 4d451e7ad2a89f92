import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createDiskArtifactStore } from '@cygni/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testCall } from './fixtures/call.ts';

const program = fileURLToPath(new URL('./fixtures/putting-process.ts', import.meta.url));
let directory: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-artifacts-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await rm(directory, { recursive: true });
});

/** Another process that has written half of an artifact into the same directory. */
async function processInMidPut() {
  const child = spawn(process.execPath, ['--conditions=cygni-source', program, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = await once(createInterface(child.stdout), 'line');
  expect(line).toBe('half');
  return child;
}

async function openedStore() {
  const store = createDiskArtifactStore({ directory });
  await store.open(testCall());
  return store;
}

const unfinished = async () =>
  (await readdir(join(directory, 'incoming'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

describe('a directory of artifacts that processes share', () => {
  it('keeps what a live process is writing, when another opens it', async () => {
    const child = await processInMidPut();
    const store = await openedStore();
    expect(await unfinished()).toHaveLength(1);
    child.stdin.write('go on\n');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(await Array.fromAsync(store.list('', testCall()))).toEqual([
      { key: 'acme/a', sizeBytes: 200_000 },
    ]);
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });

  it('drops what a process was writing that was killed, when the next opens it', async () => {
    const child = await processInMidPut();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await unfinished()).toHaveLength(1);
    const store = await openedStore();
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
    expect(await Array.fromAsync(store.list('', testCall()))).toEqual([]);
  });

  it('drops what a process elsewhere has not touched for hours, and nothing younger', async () => {
    const [old, young] = ['another.1.old', 'another.1.young'];
    for (const name of [old, young]) {
      const folder = join(directory, 'incoming', name);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'half'), 'ha');
      const threeHoursAgo = Date.now() / 1000 - 3 * 60 * 60;
      if (name === old) await utimes(join(folder, 'half'), threeHoursAgo, threeHoursAgo);
      // A folder is not touched when a file in it grows.
      await utimes(folder, threeHoursAgo, threeHoursAgo);
    }
    await openedStore();
    expect(await readdir(join(directory, 'incoming'))).toEqual([young]);
  });

  it('drops what lies beside the folders only once it is old', async () => {
    await mkdir(join(directory, 'incoming'));
    await writeFile(join(directory, 'incoming', 'half'), 'ha');
    await openedStore();
    expect(await readdir(join(directory, 'incoming'))).toEqual(['half']);
    await utimes(join(directory, 'incoming', 'half'), 1, 1);
    await openedStore();
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });

  it('keeps its artifacts readable by their owner only', async () => {
    const store = await openedStore();
    const body = (async function* () {
      yield Buffer.from('secret');
    })();
    await store.put('acme/a', body, { maximumBytes: 10 }, testCall());
    const { mode } = await stat(join(directory, 'artifacts', 'acme', 'a'));
    expect(mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'artifacts', 'acme'))).mode & 0o777).toBe(0o700);
  });

  it('maps a directory that cannot be used to an error that a later call may not meet', async () => {
    await writeFile(join(directory, 'incoming'), 'in the way');
    const opening = createDiskArtifactStore({ directory }).open(testCall());
    await expect(opening).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });
});
