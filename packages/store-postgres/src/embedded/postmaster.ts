import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError } from '@cygni/core';
import { hasEnded, identify, type ProcessIdentity } from './running-process.ts';

const fastShutdownMs = 20_000;
const immediateShutdownMs = 10_000;

/**
 * The server that still runs on the data directory, as after a crash of the program that had started it.
 * A file that names another program, as after a restart of the machine, is removed: with it PostgreSQL would not start.
 */
export async function findPostmaster(dataDirectory: string): Promise<ProcessIdentity | null> {
  const file = join(dataDirectory, 'postmaster.pid');
  const text = await readFile(file, 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return null;
  const found = await identify(pid);
  if (!found || isPostmasterOf(found.command, dataDirectory)) return found;
  await rm(file, { force: true });
  return null;
}

function isPostmasterOf(command: string, dataDirectory: string): boolean {
  const [program = ''] = command.split(' -D ');
  return program.endsWith('postgres') && command.includes(` -D ${dataDirectory} `);
}

/** Rolls back what is open and ends the server; one that hangs is ended without a checkpoint and recovers at its next start. */
export async function endPostmaster(postmaster: ProcessIdentity): Promise<void> {
  for (const [signal, patienceMs] of [
    ['SIGINT', fastShutdownMs],
    ['SIGQUIT', immediateShutdownMs],
  ] as const) {
    if (await hasEnded(postmaster, 0)) return;
    try {
      process.kill(postmaster.pid, signal);
    } catch {
      // It ended by itself, which the next look finds out.
    }
    if (await hasEnded(postmaster, patienceMs)) return;
  }
  throw new CygniError('unavailable', `PostgreSQL (process ${postmaster.pid}) does not end`);
}
