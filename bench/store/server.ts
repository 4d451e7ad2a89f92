import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';

export interface Server extends AsyncDisposable {
  readonly url: string;
}

/** A durable PostgreSQL of the benchmark's own: what it says it has stored survives a crash. */
export async function startServer(): Promise<Server> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-bench-'));
  try {
    const server = await startEmbeddedPostgres({ directory });
    return {
      url: server.url,
      async [Symbol.asyncDispose]() {
        await server.close();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}
