import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError } from '@cygni/core';
import { z } from 'zod';
import { identify, isSameProcess } from './running-process.ts';

const schema = z.object({ pid: z.int(), startedAt: z.string(), command: z.string() });

/**
 * Makes this process the one owner of the directory; a lock whose process is gone is taken over.
 * Resolves to what gives it up.
 * @throws `conflict` while another owner lives
 */
export async function takeOwnership(directory: string): Promise<() => Promise<void>> {
  const lock = join(directory, 'owner.json');
  const mine = `${lock}.${randomUUID()}`;
  await writeFile(mine, JSON.stringify(await identify(process.pid)), { mode: 0o600, flag: 'wx' });
  try {
    for (let tries = 0; tries < 5; tries += 1) {
      if (await linked(mine, lock)) return () => rm(lock, { force: true });
      await moveAwayIfStale(lock);
    }
    throw new CygniError('conflict', `${directory} changes hands again and again`);
  } finally {
    await rm(mine, { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function moveAwayIfStale(lock: string): Promise<void> {
  await refuseLiving(lock);
  // Of several that find the lock stale, one gets to rename it; what it got may be a newer one by then.
  const stale = `${lock}.${randomUUID()}`;
  try {
    await rename(lock, stale);
  } catch {
    return;
  }
  try {
    await refuseLiving(stale);
  } catch (error) {
    await linked(stale, lock);
    throw error;
  } finally {
    await rm(stale, { force: true });
  }
}

async function refuseLiving(lock: string): Promise<void> {
  let owner: z.output<typeof schema>;
  try {
    owner = schema.parse(JSON.parse(await readFile(lock, 'utf8')));
  } catch {
    return;
  }
  if (await isSameProcess(owner)) {
    const message = `the embedded database in ${lock} is in use by process ${owner.pid}`;
    throw new CygniError('conflict', message);
  }
}
