import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CygniError } from '@cygni/core';
import type { Binaries } from './binaries.ts';
import type { Launcher } from './launcher.ts';

const run = promisify(execFile);

export const databaseUser = 'cygni';
/** All of the environment that PostgreSQL gets: secrets of the program stay in the program. */
export const environment = { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' };

/** The superuser's password, made on first use; only the owner of the directory can read it. */
export async function readPassword(directory: string): Promise<string> {
  const path = join(directory, 'password');
  if (!existsSync(path)) {
    if (existsSync(join(directory, 'data'))) {
      throw new CygniError('invalid_configuration', `${path} is missing, but there is a database`);
    }
    const text = randomBytes(32).toString('base64url');
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
  }
  return (await readFile(path, 'utf8')).trim();
}

/** Makes the database's files unless they are there; under another name first, so that none are ever half made. */
export async function initialize(
  directory: string,
  binaries: Binaries,
  launcher: Launcher,
  options: { readonly durable: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const data = join(directory, 'data');
  if (existsSync(data)) return;
  for (const name of await readdir(directory)) {
    if (name.startsWith('data.new-'))
      await rm(join(directory, name), { recursive: true, force: true });
  }
  const fresh = join(directory, `data.new-${randomUUID()}`);
  await mkdir(fresh, { mode: 0o700 });
  await launcher.prepare(directory);
  const [file, args] = launcher.command(binaries.initdb, [
    `--pgdata=${fresh}`,
    `--username=${databaseUser}`,
    `--pwfile=${join(directory, 'password')}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    ...(options.durable ? [] : ['--no-sync']),
  ]);
  try {
    await run(file, args, {
      ...launcher.user,
      env: environment,
      cwd: directory,
      timeout: 120_000,
      signal: options.signal,
    });
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true });
    options.signal.throwIfAborted();
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new CygniError('unavailable', `PostgreSQL's files could not be made: ${said}`, { cause });
  }
  await rename(fresh, data);
}
