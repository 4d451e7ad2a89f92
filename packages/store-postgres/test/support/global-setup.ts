import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of a PostgreSQL whose user may create databases; null where there is none. */
    readonly postgresUrl: string | null;
  }
}

/** One PostgreSQL for a whole test run: that of DATABASE_URL, or an embedded one. */
export default async function startPostgres(
  project: TestProject,
): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.DATABASE_URL;
  if (given) {
    project.provide('postgresUrl', given);
    return undefined;
  }
  const directory = await mkdtemp(join(tmpdir(), 'cygni-postgres-'));
  try {
    const server = await startEmbeddedPostgres({ directory, durable: false });
    project.provide('postgresUrl', server.url);
    return async () => {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    if (process.env.CI) throw error;
    process.stderr.write(`NO POSTGRESQL: its tests are skipped. ${String(error)}\n`);
    project.provide('postgresUrl', null);
    return undefined;
  }
}
