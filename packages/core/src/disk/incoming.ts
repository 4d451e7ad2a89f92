import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Longer than any put takes, and far longer than one waits for its next byte. */
const abandonedMs = 2 * 60 * 60 * 1000;

/** Where process ids mean the same: a machine, since it was started, and a namespace on it. */
const scope = createHash('sha256')
  .update([hostname(), bootId(), processNamespace()].join('\n'))
  .digest('hex')
  .slice(0, 12);

/** Where one store of this process writes what is not whole yet: a folder below the shared `incoming`. */
export function ownFolder(incoming: string): string {
  return join(incoming, `${scope}.${process.pid}.${randomUUID()}`);
}

/**
 * Removes what processes that are dead were writing. Of a process elsewhere (another machine or container on the
 * same volume) it cannot be known whether it lives: what it has not touched for hours is taken as abandoned.
 */
export async function removeAbandoned(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    if (hasDied(name) || (await untouchedForMs(path)) > abandonedMs) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

function hasDied(name: string): boolean {
  const [where, pid] = name.split('.');
  if (where !== scope || !/^[1-9][0-9]{0,9}$/.test(pid ?? '')) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

async function untouchedForMs(path: string): Promise<number> {
  try {
    const { mtimeMs } = await stat(path);
    const inside = await readdir(path).catch(() => []);
    const times = await Promise.all(inside.map((name) => stat(join(path, name))));
    return Date.now() - Math.max(mtimeMs, ...times.map((each) => each.mtimeMs));
  } catch {
    // It is being moved or removed just now.
    return 0;
  }
}

function bootId(): string {
  return readOrEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'));
}

function processNamespace(): string {
  return readOrEmpty(() => readlinkSync('/proc/self/ns/pid'));
}

/** Not on every system. */
function readOrEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
