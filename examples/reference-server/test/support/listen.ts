import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';

export interface Listening extends Disposable {
  readonly port: number;
}

/** On a free port of this machine. */
export async function listen(answer: RequestListener): Promise<Listening> {
  const listener = createServer(answer).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return {
    port: address.port,
    [Symbol.dispose]() {
      listener.closeAllConnections();
      listener.close();
    },
  };
}
