import { lstat, mkdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError } from '@cygni/core';
import { systemCode } from './map-error.ts';

const maximumLinks = 40;

export interface OwnedPath {
  readonly root: string;
  /** Called for each directory that had to be made. */
  readonly onMade?: (path: string) => Promise<void>;
}

/**
 * The parts of an archive's path. An empty list is the root itself.
 * @throws `integrity` for what could lead out of the root
 */
export function splitArchivePath(name: string): string[] {
  if (name.startsWith('/') || name.includes('\0')) {
    throw new CygniError('integrity', `layer holds the path ${JSON.stringify(name.slice(0, 200))}`);
  }
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    throw new CygniError('integrity', `layer holds the path ${JSON.stringify(name.slice(0, 200))}`);
  }
  return parts;
}

/**
 * The real path of a directory below `root`, made where it is missing. Symbolic links are followed as a process
 * with that root would follow them, so they never lead out. Only safe while nobody else writes to the root.
 * @throws `integrity` if a part is no directory, or links go round in circles
 */
export async function directoryInside(
  { root, onMade }: OwnedPath,
  parts: readonly string[],
): Promise<string> {
  const pending = [...parts];
  const done: string[] = [];
  let links = 0;
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const path = join(root, ...done, part);
    const found = await statOrNull(path);
    if (found?.isSymbolicLink()) {
      links += 1;
      if (links > maximumLinks) throw new CygniError('integrity', 'layer links go in circles');
      const target = await readlink(path);
      if (target.startsWith('/')) done.length = 0;
      pending.unshift(...target.split('/'));
      continue;
    }
    if (found === null) {
      await mkdir(path, { mode: 0o755 });
      await onMade?.(path);
    } else if (!found.isDirectory()) {
      throw new CygniError('integrity', `layer uses a file as a directory: ${part.slice(0, 200)}`);
    }
    done.push(part);
  }
  return join(root, ...done);
}

export async function statOrNull(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}
