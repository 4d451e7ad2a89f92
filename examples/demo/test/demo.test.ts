import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const demoMain = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const longestMs = 120_000;

let temporary: string;
let mark: string;
let demo: ChildProcess;
let output: string;

beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'cygni-demo-test-'));
  mark = `mark-${randomUUID()}`;
  output = '';
});
afterEach(async () => {
  demo.kill('SIGKILL');
  await rm(temporary, { recursive: true, force: true });
});

function startDemo(): void {
  demo = spawn(process.execPath, ['--conditions=cygni-source', demoMain], {
    detached: true,
    env: {
      ...process.env,
      TMPDIR: temporary,
      DEMO_TEST_MARK: mark,
      BUILD_ENGINE: 'assemble',
      DEPLOY_RUNTIME: 'namespaces',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [demo.stdout, demo.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      demo.emit('output');
    });
  }
}

async function printed(text: string): Promise<void> {
  const signal = AbortSignal.timeout(longestMs);
  while (!output.includes(text)) await once(demo, 'output', { signal });
}

async function exitCode(): Promise<number | null> {
  if (demo.exitCode === null) await once(demo, 'exit', { signal: AbortSignal.timeout(longestMs) });
  return demo.exitCode;
}

/** Processes that were started by the demo, or that have something of its directory mounted. */
async function leftovers(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    const [environment, mounts, command] = await Promise.all([
      read('environ'),
      read('mountinfo'),
      read('cmdline'),
    ]);
    const traces = `${environment}${mounts}${command}`;
    if (traces.includes(mark) || traces.includes(temporary)) found.push(command);
  }
  return found;
}

async function expectNothingLeft(): Promise<void> {
  expect(await leftovers()).toEqual([]);
  expect(await readdir(temporary)).toEqual([]);
}

const onLinux = process.platform === 'linux';
if (!onLinux)
  console.warn('SKIPPED: the demo’s tests look for leftovers in /proc, which only Linux has');

describe.skipIf(!onLinux)('the demo', () => {
  it('tells the whole story and leaves nothing behind', async () => {
    startDemo();
    expect(await exitCode(), output).toBe(0);
    for (const fact of [
      'This is version 1.',
      'rolled back to revision 1: health_check_failed',
      '500 answered 500',
      'the next build gets 402',
      'Done',
    ]) {
      expect(output).toContain(fact);
    }
    await expectNothingLeft();
  });

  it.each([
    'Start the reference server',
    'listening on',
    'accepted; its log',
    '… watching',
    '… baking',
    'Deploy a version that answers 500',
    'the cap is now',
  ])('leaves nothing behind when it is interrupted after “%s”', async (moment) => {
    startDemo();
    await printed(moment);
    demo.kill('SIGINT');
    const code = await exitCode();
    expect([0, 130], output).toContain(code);
    await expectNothingLeft();
  });

  it('takes its server along when it is killed', async () => {
    startDemo();
    await printed('… watching');
    demo.kill('SIGKILL');
    await once(demo, 'exit');
    const signal = AbortSignal.timeout(longestMs);
    while ((await leftovers()).length > 0) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
});
