import type { RepositoryLocation } from '@cygni/core';
import {
  createRegistryServer,
  type RegistryServer,
  type RegistryServerOptions,
} from '../../src/index.ts';
import { type Listening, listen } from './listen.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface Embedded extends AsyncDisposable {
  readonly directory: string;
  readonly server: RegistryServer;
  readonly host: string;
  readonly port: number;
  /** `http://127.0.0.1:port/v2/…` */
  url(path: string): string;
  location(repository: string): RepositoryLocation;
}

/** The embedded registry on a real port, over `directory` or one of its own. */
export async function embedded(
  options: Omit<RegistryServerOptions, 'directory'> & { readonly directory?: string } = {},
): Promise<Embedded> {
  const own = options.directory === undefined ? await temporaryDirectory() : undefined;
  const directory = options.directory ?? own?.path ?? '';
  const server = createRegistryServer({ ...options, directory });
  await server.open();
  const listening: Listening = await listen(server.handle);
  return {
    directory,
    server,
    host: listening.host,
    port: listening.port,
    url: (path) => `http://${listening.host}/v2/${path}`,
    location: (repository) => ({ host: listening.host, repository, insecure: true }),
    async [Symbol.asyncDispose]() {
      await server.close();
      await listening[Symbol.asyncDispose]();
      await own?.[Symbol.asyncDispose]();
    },
  };
}
