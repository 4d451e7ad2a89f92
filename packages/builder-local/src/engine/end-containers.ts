import { readdir, readFile, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Call } from '@cygni/core';
import { engineEnvironment } from '@cygni/core/container-engine';
import { runProcess } from './run-process.ts';

/**
 * Ends the containers whose root file system lies below a directory, takes their mounts away and deletes it.
 * An engine that is killed leaves both behind: the container is in a session of its own.
 */
export async function removeStorage(
  directory: string,
  unshare: readonly string[],
  call: Call,
): Promise<void> {
  if (process.platform === 'linux') {
    await killContainers(directory);
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

async function killContainers(directory: string): Promise<void> {
  for (const entry of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(entry) || Number(entry) === process.pid) continue;
    const mounts = await readFile(`/proc/${entry}/mountinfo`, 'utf8').catch(() => '');
    // Only a process whose own root lies there: others may merely see the mount.
    const isInside = mounts
      .split('\n')
      .some((line) => line.split(' ')[4] === '/' && line.includes(`${directory}${sep}`));
    if (!isInside) continue;
    kill(Number(entry));
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
