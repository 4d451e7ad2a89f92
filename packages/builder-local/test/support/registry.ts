import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RepositoryLocation } from '@cygni/core';
import { createImageClient, createRegistryServer } from '@cygni/registry-oci';

export interface TestRegistry extends AsyncDisposable {
  readonly host: string;
  readonly images: ReturnType<typeof createImageClient>;
  at(repository: string): RepositoryLocation;
  /** From now on this user alone is let in. */
  admit(user: string): void;
  /** Told of the first request with this method that was answered with success. */
  onceFinished(method: string, tell: () => void): void;
}

/** The embedded registry on a port of this machine. `user`: what it asks of everyone, as name:password. */
export async function startRegistry(user?: string): Promise<TestRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-registry-'));
  const registry = createRegistryServer({ directory });
  const basic = (name: string) => `Basic ${Buffer.from(name).toString('base64')}`;
  let expected = user && basic(user);
  let waiting: { readonly method: string; readonly tell: () => void } | undefined;
  const server = createServer((request, response) => {
    if (expected && request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return;
    }
    response.once('finish', () => {
      if (!waiting || request.method !== waiting.method || response.statusCode >= 300) return;
      waiting.tell();
      waiting = undefined;
    });
    registry.handle(request, response);
  });
  const host = await listen(server);
  const images = createImageClient({ retry: { retries: 1, firstDelayMs: 20 } });
  return {
    host,
    images,
    at: (repository) => ({ host, repository, insecure: true }),
    admit(name) {
      expected = basic(name);
    },
    onceFinished(method, tell) {
      waiting = { method, tell };
    },
    async [Symbol.asyncDispose]() {
      await images.close();
      await close(server);
      await registry.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return `127.0.0.1:${port}`;
}

export function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
