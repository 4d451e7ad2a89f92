import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** From now on the connection that reaches the server from this port passes nothing on, and stays open. */
  swallow(localPort: number): void;
  /** Those who connect from now on reach another server, as when a name is given to it; those who are connected stay. */
  redirect(target: number): void;
}

/** Stands between a client and a server. */
export async function startProxy(first: number): Promise<Proxy> {
  let target = first;
  const passages = new Map<number, { near: Socket; far: Socket }>();
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1', () => {
      passages.set(far.localPort ?? 0, { near, far });
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => from.destroy());
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    swallow(localPort) {
      const passage = passages.get(localPort);
      if (!passage) throw new Error(`no connection from port ${localPort}`);
      const { near, far } = passage;
      near.unpipe(far);
      far.unpipe(near);
      near.resume();
      far.resume();
    },
    redirect(to) {
      target = to;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
