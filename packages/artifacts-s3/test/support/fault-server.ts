import { once } from 'node:events';
import {
  createServer,
  request as forward,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { buffer } from 'node:stream/consumers';

/** What happens to a request instead of being served. Each is really done to the connection. */
export type Fault =
  /** Read, not passed on, and the connection cut. */
  | { readonly kind: 'cut' }
  /** Passed on and done, but the connection is cut before the answer. */
  | { readonly kind: 'loseAnswer' }
  /** So many bytes of the body of the answer, then the connection is cut, or says no more. */
  | { readonly kind: 'cutAnswer' | 'stallAnswer'; readonly afterBytes: number }
  /** Served once something else has been done. */
  | { readonly kind: 'after'; readonly do: () => Promise<unknown> }
  /** No answer. */
  | { readonly kind: 'hang' }
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    };

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

export interface FaultServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly seen: readonly SeenRequest[];
  /** How many were opened so far. */
  connections(): number;
  /** Asked for each request, in order; undefined: it is served. */
  fault: (request: SeenRequest) => Fault | undefined;
}

/** A real server between the store and the S3 behind it, for what moto never does by itself. */
export async function startFaultServer(behind: string): Promise<FaultServer> {
  const seen: SeenRequest[] = [];
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = incoming;
    const request = { method, url, headers };
    seen.push(request);
    const fault = faults.fault(request);
    const body = await buffer(incoming);
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'cut') {
      outgoing.destroy();
      return;
    }
    if (fault?.kind === 'answer') {
      outgoing.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    if (fault?.kind === 'after') await fault.do();
    const passed = forward(new URL(url, behind), { method, headers: { ...headers } });
    passed.end(body);
    const [answer]: IncomingMessage[] = await once(passed, 'response');
    if (!answer) throw new Error('no answer');
    const bytes = await buffer(answer);
    if (fault?.kind === 'loseAnswer') {
      outgoing.destroy();
      return;
    }
    // Of one connection only (RFC 9110, section 7.6.1): moto closes its own after each answer.
    const { connection: _, ...kept } = answer.headers;
    outgoing.writeHead(answer.statusCode ?? 500, kept);
    if (!fault || fault.kind === 'after') {
      outgoing.end(bytes);
      return;
    }
    outgoing.write(bytes.subarray(0, fault.afterBytes), () => {
      if (fault.kind === 'cutAnswer') outgoing.destroy();
    });
  }

  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const faults: FaultServer = {
    endpoint: `http://127.0.0.1:${address.port}`,
    seen,
    connections: () => connections,
    fault: () => undefined,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return faults;
}
