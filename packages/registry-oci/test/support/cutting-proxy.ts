import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface CuttingProxy extends AsyncDisposable {
  readonly host: string;
  /** Bytes that went on to the server. */
  readonly forwarded: () => number;
  readonly cuts: () => number;
}

/** Stands between a client and a real server, and cuts the connection once so many bytes went through, as often as told. */
export async function cuttingProxy(
  target: string,
  { afterBytes, cuts }: { readonly afterBytes: number; readonly cuts: number },
): Promise<CuttingProxy> {
  const [hostname = '', port = ''] = target.split(':');
  const sockets = new Set<Socket>();
  let forwarded = 0;
  let done = 0;
  let budget = afterBytes;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    upstream.pipe(client);
    client.on('data', (bytes) => {
      const cut = done < cuts && bytes.byteLength >= budget;
      const passed = cut ? bytes.subarray(0, budget) : bytes;
      forwarded += passed.byteLength;
      budget -= passed.byteLength;
      if (!upstream.write(passed) && !cut) {
        client.pause();
        upstream.once('drain', () => client.resume());
      }
      if (cut) {
        done += 1;
        budget = afterBytes;
        // The server gets what was sent, and then hears that nothing more will come.
        upstream.end();
        client.destroy();
      }
    });
    client.on('close', () => upstream.end());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `127.0.0.1:${address.port}`,
    forwarded: () => forwarded,
    cuts: () => done,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
