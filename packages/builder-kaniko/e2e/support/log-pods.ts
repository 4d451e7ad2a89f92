import { randomBytes } from 'node:crypto';
import { connect, createServer, isIP, type Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { createClusterConnection } from '../../src/cluster/connection.ts';
import { createContainerWatch } from '../../test/log/following.ts';
import { cluster, createNamespace } from './namespace.ts';

const listSchema = z.object({
  items: z.array(z.object({ status: z.object({ phase: z.string().optional() }) })),
});

/** A namespace with pods that run a shell script in the container `build`. */
export async function createLogPods() {
  const namespace = await createNamespace();
  const connection = createClusterConnection(namespace.kubeconfig);

  async function phaseOf(pod: string): Promise<string | undefined> {
    const { body } = await connection.request({
      method: 'GET',
      path: `/api/v1/namespaces/${namespace.name}/pods`,
      query: { fieldSelector: `metadata.name=${pod}` },
      signal: AbortSignal.timeout(20_000),
    });
    return listSchema.parse(await body.json()).items[0]?.status.phase;
  }

  return {
    namespace: namespace.name,
    /** Of the ServiceAccount that builds run under. */
    kubeconfig: namespace.kubeconfig,

    /** Starts a pod. `watched` knows of its end as soon as its status shows that. */
    async run(script: string) {
      const name = `p-${randomBytes(4).toString('hex')}`;
      await namespace.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: 'build',
              image: `${cluster.registry}/library/busybox:1`,
              command: ['/bin/sh', '-c', script],
            },
          ],
        },
      });
      const watched = createContainerWatch();
      const watching = (async () => {
        for (;;) {
          if (['Succeeded', 'Failed'].includes((await phaseOf(name)) ?? '')) return watched.end();
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      })();
      watching.catch(() => {});
      return { pod: name, watched };
    },

    async [Symbol.asyncDispose]() {
      await connection.close();
      await namespace[Symbol.asyncDispose]();
    },
  };
}

/** A connection to the API server through a proxy of TCP streams, which can be broken and closed. */
export async function connectThroughProxy(kubeconfig: KubeConfig) {
  const known = kubeconfig.getCurrentCluster();
  const user = kubeconfig.getCurrentUser();
  if (!known || !user) throw new Error('the kubeconfig has no current cluster or user');
  const { hostname, port } = new URL(known.server);
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
  const through = new KubeConfig();
  const address = `https://127.0.0.1:${at}`;
  const named = isIP(hostname) ? {} : { tlsServerName: hostname };
  through.loadFromClusterAndUser({ ...known, server: address, ...named }, user);
  const connection = createClusterConnection(through);
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
