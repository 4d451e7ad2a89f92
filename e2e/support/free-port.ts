import { once } from 'node:events';
import { createServer } from 'node:net';

/** Free a moment ago, for a program that cannot choose one itself. */
export async function findFreePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  const closed = once(server, 'close');
  server.close();
  await closed;
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
  return address.port;
}
