import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface LoadBalancer extends AsyncDisposable {
  readonly url: string;
  /** What it could not answer: what went wrong after a connection was there. */
  readonly failures: readonly string[];
  /** How often a connection was refused, and the next server was asked. */
  readonly retries: () => number;
}

interface Target {
  readonly url: string;
  readonly agent: Agent;
  isReady: boolean;
}

/** Goes round the servers that are ready, keeps connections to them alive, and retries only what could not connect. */
export async function startLoadBalancer(
  urls: readonly string[],
  probeMs: number,
): Promise<LoadBalancer> {
  const targets: readonly Target[] = urls.map((url) => ({
    url,
    agent: new Agent({ keepAlive: true }),
    isReady: true,
  }));
  const failures: string[] = [];
  let retries = 0;
  let turn = 0;

  async function probe(target: Target): Promise<void> {
    const answer = await fetch(`${target.url}/readyz`, { signal: AbortSignal.timeout(5_000) })
      .then((response) => response.status)
      .catch(() => 0);
    target.isReady = answer === 200;
  }
  const probing = setInterval(() => {
    for (const target of targets) void probe(target);
  }, probeMs);

  async function forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    turn += 1;
    const ready = targets.filter(({ isReady }) => isReady);
    const order = ready.map((_, index) => ready[(turn + index) % ready.length]);
    for (const target of order) {
      if (target && (await answered(target, incoming, body, response))) return;
      retries += 1;
    }
    failures.push(`${incoming.method} ${incoming.url}: nobody there`);
    response.writeHead(502).end();
  }

  /** False: it could not connect. */
  function answered(
    { url, agent }: Target,
    incoming: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { method = 'GET', headers } = incoming;
    const outgoing = request(url + (incoming.url ?? '/'), {
      method,
      agent,
      headers: { ...headers, 'content-length': body.length },
    });
    const fail = (error: Error) => {
      failures.push(`${method} ${incoming.url}: ${error.message}`);
      response.destroy();
      resolve(true);
    };
    outgoing.on('error', (error) => {
      if ('syscall' in error && error.syscall === 'connect') resolve(false);
      else fail(error);
    });
    outgoing.on('response', (from) => {
      const { connection: _hop, 'keep-alive': _too, ...end } = from.headers;
      response.writeHead(from.statusCode ?? 502, end);
      response.flushHeaders();
      from.on('error', fail);
      from.pipe(response);
      from.on('end', () => resolve(true));
    });
    response.on('close', () => outgoing.destroy());
    outgoing.end(body);
    return promise;
  }

  const server = createServer((incoming, response) => {
    forward(incoming, response).catch((error: Error) => failures.push(error.message));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return {
    url: `http://127.0.0.1:${address.port}`,
    failures,
    retries: () => retries,
    async [Symbol.asyncDispose]() {
      clearInterval(probing);
      server.closeAllConnections();
      server.close();
      for (const { agent } of targets) agent.destroy();
    },
  };
}
