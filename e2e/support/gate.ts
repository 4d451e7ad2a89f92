import { EventEmitter, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';

const waitMs = 90_000;

/** Where a RUN step stops until the test lets it go on: `RUN wget -qO- <url>`. */
export interface Gate extends AsyncDisposable {
  readonly url: string;
  /** How often it was knocked at: how many times the step ran. */
  readonly arrivals: number;
  /** Resolves when so many steps have come. */
  arrived(count: number): Promise<void>;
  /** Lets through who waits, and whoever comes later. */
  open(): void;
}

export async function createGate(ip: string): Promise<Gate> {
  const waiting: ServerResponse[] = [];
  const events = new EventEmitter();
  let arrivals = 0;
  let isOpen = false;
  const server = createServer((_request, response) => {
    arrivals += 1;
    if (isOpen) response.end('open\n');
    else waiting.push(response);
    events.emit('arrival');
  });
  server.listen(0, ip);
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
  return {
    url: `http://${ip}:${address.port}/`,
    get arrivals() {
      return arrivals;
    },
    async arrived(count) {
      const signal = AbortSignal.timeout(waitMs);
      while (arrivals < count) await once(events, 'arrival', { signal });
    },
    open() {
      isOpen = true;
      for (const response of waiting.splice(0)) response.end('open\n');
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
