import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authorize, createRegistryServer } from '@cygni/registry-oci';
import { cluster } from './namespace.ts';

/** A registry of its own, over plain HTTP, that pods reach and that lets in whom `authorize` says. */
export async function serveImages(
  authorize: Authorize,
): Promise<{ readonly host: string } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-registry-'));
  const images = createRegistryServer({ directory, authorize });
  await images.open();
  const server = createServer((request, response) => images.handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, cluster.nodeAddress, resolve));
  return {
    host: `${cluster.nodeAddress}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await images.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
