import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';

export interface Listening extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string;
  readonly port: number;
}

/** A real server on a free port. @param certificate with it the server speaks TLS */
export async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  certificate?: { readonly certificate: string; readonly key: string },
): Promise<Listening> {
  const server = certificate
    ? createSecureServer(
        { requestTimeout: 0, cert: certificate.certificate, key: certificate.key },
        handle,
      )
    : createServer({ requestTimeout: 0 }, handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `127.0.0.1:${address.port}`,
    port: address.port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
