import { randomBytes } from 'node:crypto';
import { connect, createServer, isIP, type Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { createClusterConnection } from '../../src/cluster/connection.ts';
import { createEnding } from '../../test/log/following.ts';

const registry = process.env.REGISTRY ?? '10.88.0.1:5000';

function loadKubeconfig(): KubeConfig {
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromDefault();
  return kubeconfig;
}

/** A namespace with pods that run a shell script in the container `build`. */
export async function createLogPods() {
  const connection = createClusterConnection(loadKubeconfig());
  const namespace = `log-${randomBytes(4).toString('hex')}`;

  async function send(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) {
    const signal = AbortSignal.timeout(20_000);
    const answer = await connection.request({ method, path, signal, ...(body && { body }) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300)
      throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return text;
  }

  await send('POST', '/api/v1/namespaces', { metadata: { name: namespace } });

  return {
    namespace,

    /** Starts a pod. `ending` knows of its end as soon as its status shows that. */
    async run(script: string) {
      const name = `p-${randomBytes(4).toString('hex')}`;
      const path = `/api/v1/namespaces/${namespace}/pods`;
      await send('POST', path, {
        metadata: { name },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'build',
              image: `${registry}/library/busybox:1`,
              command: ['/bin/sh', '-c', script],
            },
          ],
        },
      });
      const ending = createEnding();
      const watching = (async () => {
        for (;;) {
          const pod: { status?: { phase?: string } } = JSON.parse(
            await send('GET', `${path}/${name}`),
          );
          if (['Succeeded', 'Failed'].includes(pod.status?.phase ?? '')) return ending.end();
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      })();
      watching.catch(() => {});
      return { pod: name, ending };
    },

    async [Symbol.asyncDispose]() {
      await send('DELETE', `/api/v1/namespaces/${namespace}`);
      await connection.close();
    },
  };
}

/** A connection to the API server through a proxy of TCP streams, which can be broken and closed. */
export async function connectThroughProxy() {
  const kubeconfig = loadKubeconfig();
  const cluster = kubeconfig.getCurrentCluster();
  if (!cluster) throw new Error('the kubeconfig has no current cluster');
  const { hostname, port } = new URL(cluster.server);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port || 443), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from
        .on('error', () => to.destroy())
        .on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
      from.pipe(to);
    }
  });
  const listen = (at: number) =>
    new Promise<number>((resolve) => {
      server.listen(at, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address ? address.port : 0);
      });
    });
  const at = await listen(0);
  kubeconfig.clusters = kubeconfig.clusters.map((known) =>
    known.name === cluster.name
      ? {
          ...known,
          server: `https://127.0.0.1:${at}`,
          ...(!isIP(hostname) && { tlsServerName: hostname }),
        }
      : known,
  );
  const connection = createClusterConnection(kubeconfig);
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    connection,
    drop,
    /** Refuses connections for as long as `during` takes. */
    async outage(during: () => Promise<void>) {
      server.close();
      drop();
      await during();
      await listen(at);
    },
    /** Passes nothing on, and tells nobody. */
    freeze() {
      for (const socket of sockets) socket.unpipe();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      drop();
      await connection.close();
    },
  };
}
