import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface Listening extends AsyncDisposable {
  /** `address:port` */
  readonly host: string;
}

/** A server on a free port. */
export async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  address = '127.0.0.1',
): Promise<Listening> {
  const server = createServer({ requestTimeout: 0 }, handle);
  server.listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    host: `${address}:${bound.port}`,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
