import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GuardedRegistry extends AsyncDisposable {
  readonly host: string;
  /** What it asks of everyone from now on. */
  password: string;
  /** Requests that came with another password. */
  readonly refused: number;
}

/** A door before a registry that lets those with one password in, to every repository: an account. */
export async function guardRegistry(
  host: string,
  address: string,
  password: string,
): Promise<GuardedRegistry> {
  const upstream = new URL(`http://${host}`);
  const guard = { password, refused: 0 };
  const server = createServer((request, response) => {
    const expected = `Basic ${Buffer.from(`account:${guard.password}`).toString('base64')}`;
    const { authorization, ...headers } = request.headers;
    if (authorization !== expected) {
      if (authorization) guard.refused += 1;
      request.resume();
      response.writeHead(401, { 'www-authenticate': 'Basic realm="account"' }).end();
      return;
    }
    const passed = forward(
      {
        host: upstream.hostname,
        port: upstream.port,
        method: request.method,
        path: request.url,
        headers,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    passed.on('error', () => response.destroy());
    request.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `${address}:${port}`,
    get password() {
      return guard.password;
    },
    set password(next) {
      guard.password = next;
    },
    get refused() {
      return guard.refused;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
