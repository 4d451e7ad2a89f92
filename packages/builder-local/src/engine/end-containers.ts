import { readdir, readFile, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Call } from '@cygni/core';
import { engineEnvironment } from '@cygni/core/container-engine';
import { runProcess } from './run-process.ts';

const killedCheckMs = 20;

/**
 * Ends the engine that works in a directory and the containers whose root file system lies below it,
 * takes their mounts away and deletes it. An engine outlives the process that started it when that is
 * killed; a killed engine leaves its container and its mounts behind.
 */
export async function removeStorage(
  directory: string,
  unshare: readonly string[],
  call: Call,
): Promise<void> {
  if (process.platform === 'linux') {
    // The engine first, and until it is gone: it mounts its storage anew when it sees its container end.
    await killAll((pid) => isEngineOf(pid, directory), call);
    await killAll((pid) => isInside(pid, directory), call);
    await unmount(directory, call);
    await killPauseProcess(directory);
  }
  try {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    const [command, ...words] = unshare;
    if (!isDenied(error) || command === undefined) throw error;
    // Without root, files belong to user numbers that only the engine's own namespace may touch.
    const names = await readdir(directory);
    const paths = names.filter((name) => !isOfEngine(name)).map((name) => join(directory, name));
    await run(command, [...words, 'rm', '-rf', '--', ...paths], directory, call);
    await killPauseProcess(directory);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^E(?:ACCES|PERM)$/.test(`${error.code}`);
}

/** What the engine needs in order to enter its namespace once more. */
function isOfEngine(name: string): boolean {
  return name.startsWith('podman-run-');
}

/** Without root, podman keeps a process that holds its user namespace. */
async function killPauseProcess(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter(isOfEngine)) {
    const file = join(directory, name, 'libpod', 'tmp', 'pause.pid');
    const pid = Number(await readFile(file, 'utf8').catch(() => ''));
    if (!Number.isSafeInteger(pid) || pid < 2) continue;
    const command = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    if (/^(?:podman|catatonit)/.test(command)) kill(pid);
  }
}

async function isEngineOf(pid: number, directory: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0').some((word) => word.startsWith(`--root=${directory}${sep}`));
}

/** Only a process whose own root lies there: others may merely see the mount. */
async function isInside(pid: number, directory: string): Promise<boolean> {
  const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
  return mounts
    .split('\n')
    .some((line) => line.split(' ')[4] === '/' && line.includes(`${directory}${sep}`));
}

/** Resolves once none is left. @throws what `call.signal` aborted with */
async function killAll(isMeant: (pid: number) => Promise<boolean>, call: Call): Promise<void> {
  for (;;) {
    let found = false;
    for (const entry of await readdir('/proc')) {
      const pid = Number(entry);
      if (!Number.isSafeInteger(pid) || pid === process.pid || !(await isMeant(pid))) continue;
      found = true;
      kill(pid);
    }
    if (!found) return;
    await delay(killedCheckMs, undefined, { signal: call.signal });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

async function unmount(directory: string, call: Call): Promise<void> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const points = mountinfo
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((point) => point.startsWith(join(directory, sep)));
  // The newest first: one mount may lie on another.
  for (const point of points.toReversed()) await run('umount', ['--lazy', '--', point], '/', call);
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 8)),
  );
}

async function run(
  command: string,
  words: readonly string[],
  directory: string,
  call: Call,
): Promise<void> {
  const { exitCode, lastLines } = await runProcess({
    command,
    arguments: words,
    environment: engineEnvironment(directory === '/' ? {} : { TMPDIR: directory }),
    directory,
    onLine: async () => {},
    signal: call.signal,
  });
  if (exitCode !== 0) call.log.warn({ command, exitCode, lastLines }, 'cleaning up failed');
}
