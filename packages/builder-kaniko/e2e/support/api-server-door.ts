import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as forward } from 'node:https';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

export interface SeenRequest {
  readonly method: string;
  /** Below the namespace: `jobs`, `pods`, `secrets`, `pods/x/log`. */
  readonly resource: string;
  readonly isWatch: boolean;
  readonly at: number;
}

type Interference = (seen: SeenRequest, response: ServerResponse) => boolean;

export interface ApiServerDoor extends AsyncDisposable {
  readonly kubeconfig: KubeConfig;
  readonly seen: readonly SeenRequest[];
  /** Asked of each request; true: it has answered, or will not. Null: everything passes. */
  interfere: Interference | null;
}

/** Stands before the real API server: counts what is asked, and answers in its place where a test wants so. */
export async function openDoor(own: KubeConfig): Promise<ApiServerDoor> {
  const cluster = own.getCurrentCluster();
  const user = own.getCurrentUser();
  if (!cluster || !user) throw new Error('the kubeconfig has no current cluster and user');
  const upstream = new URL(cluster.server);
  const ca = Buffer.from(cluster.caData ?? '', 'base64');
  const seen: SeenRequest[] = [];
  let interfere: Interference | null = null;

  function pass(request: IncomingMessage, response: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = request;
    const { host: _, ...rest } = headers;
    const { hostname: host, port } = upstream;
    const passed = forward({ host, port, ca, method, path: url, headers: rest }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    passed.on('error', () => response.destroy());
    response.on('close', () => passed.destroy());
    request.pipe(passed);
  }

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://door');
    const one = {
      method: request.method ?? '',
      resource: pathname.replace(/^.*\/namespaces\/[^/]+\//, ''),
      isWatch: searchParams.has('watch'),
      at: performance.now(),
    };
    seen.push(one);
    if (interfere?.(one, response)) request.resume();
    else pass(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromClusterAndUser(
    { name: 'door', server: `http://127.0.0.1:${port}`, skipTLSVerify: false },
    user,
  );
  return {
    kubeconfig,
    seen,
    get interfere() {
      return interfere;
    },
    set interfere(next) {
      interfere = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
