import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Call, CygniError } from '@cygni/core';
import type { Engine } from '../engine/engine.ts';
import { workDirectory } from './start-run.ts';

/** Directories that pipelines of this very process use. */
const inUse = new Set<string>();

export interface RunDirectory {
  /** Creates this process's directory, and removes those of processes that are no more. @throws `invalid_configuration` */
  open(call: Call): Promise<void>;
  pathOf(key: string): string;
  close(): Promise<void>;
}

export function createRunDirectory(parent: string, engine: Engine): RunDirectory {
  const own = `${hostname()}.${process.pid}.${randomUUID().slice(0, 8)}`;

  function isLeftover(name: string): boolean {
    if (!name.startsWith(`${hostname()}.`) || inUse.has(join(parent, name))) return false;
    const pid = Number(name.split('.').at(-2));
    // A process in a container often has the same number after a restart.
    return Number.isSafeInteger(pid) && (pid === process.pid || !isAlive(pid));
  }

  async function removeLeftover(directory: string, call: Call): Promise<void> {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      await engine.cleanUp(workDirectory(join(directory, entry.name)), call);
    }
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }

  return {
    pathOf: (key) => join(parent, own, key),
    async open(call) {
      inUse.add(join(parent, own));
      try {
        await mkdir(join(parent, own), { recursive: true, mode: 0o700 });
      } catch (cause) {
        throw new CygniError('invalid_configuration', `cannot create ${parent}`, { cause });
      }
      for (const name of (await readdir(parent)).filter(isLeftover)) {
        call.log.info({ directory: join(parent, name) }, 'removing what a former process left');
        await removeLeftover(join(parent, name), call).catch((error) =>
          call.log.warn({ err: error }, 'cannot remove it all'),
        );
      }
    },
    async close() {
      await rm(join(parent, own), { recursive: true, force: true, maxRetries: 3 });
      inUse.delete(join(parent, own));
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
