import { readdir, readFile, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Call } from '@cygni/core';
import { engineEnvironment } from './engine-environment.ts';
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
  }
  try {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    const denied =
      error instanceof Error && 'code' in error && /^E(?:ACCES|PERM)$/.test(`${error.code}`);
    const [command, ...words] = unshare;
    if (!denied || command === undefined) throw error;
    // Without root, files belong to user numbers that only the engine's own namespace may touch.
    await run(command, [...words, 'rm', '-rf', '--', directory], call);
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
    try {
      process.kill(Number(entry), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

async function unmount(directory: string, call: Call): Promise<void> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const points = mountinfo
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((point) => point.startsWith(join(directory, sep)));
  // The newest first: one mount may lie on another.
  for (const point of points.toReversed()) await run('umount', ['--lazy', '--', point], call);
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 8)),
  );
}

async function run(command: string, words: readonly string[], call: Call): Promise<void> {
  const { exitCode, lastLines } = await runProcess({
    command,
    arguments: words,
    environment: engineEnvironment(),
    directory: '/',
    onLine: async () => {},
    signal: call.signal,
  });
  if (exitCode !== 0) call.log.warn({ command, exitCode, lastLines }, 'cleaning up failed');
}
