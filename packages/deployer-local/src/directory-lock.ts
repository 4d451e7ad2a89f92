import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError } from '@cygni/core';
import { z } from 'zod';
import { systemCode } from './map-error.ts';
import { identify, isAlive } from './process-identity.ts';
import { replaceFile } from './state-file.ts';

const ownerSchema = z.object({
  pid: z.int().positive(),
  startTime: z.string(),
  bootId: z.string(),
});

/**
 * Keeps a second deployer away from the directory: it would take the first one's instances for orphans.
 * Returns the release. What a crash left behind does not count.
 * @throws `conflict` while the owner is alive
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'owner.json');
  const owner = await readOwner(path);
  if (owner && isOwned(owner)) {
    throw new CygniError(
      'conflict',
      `${directory} is in use by another deployer (process ${owner.pid})`,
    );
  }
  // Without /proc only the pid is known, which errs on the side of refusing.
  const self = (process.platform === 'linux' && identify(process.pid)) || {
    pid: process.pid,
    startTime: '',
    bootId: '',
  };
  await replaceFile(path, JSON.stringify(self));
  return () => rm(path, { force: true });
}

async function readOwner(path: string): Promise<z.output<typeof ownerSchema> | undefined> {
  try {
    return ownerSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isOwned(owner: z.output<typeof ownerSchema>): boolean {
  if (process.platform === 'linux') return isAlive(owner);
  try {
    return process.kill(owner.pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
