import type { RedisOptions } from 'ioredis';
import { findFreePort } from '../../../../e2e/support/free-port.ts';
import { until } from '../../../core/src/conformance/queue-fixture.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

export interface RedisCluster extends AsyncDisposable {
  readonly nodes: readonly [RedisServer, RedisServer];
}

/** Two nodes with half of the slots each, which give their address as `localhost`. */
export async function startRedisCluster(
  settings: readonly string[] = [],
  clientOptions: RedisOptions = {},
): Promise<RedisCluster> {
  // Redis's own choice is 10,000 above the node's port, where there may be none.
  const [firstBus, secondBus] = await Promise.all([
    findFreePort('127.0.0.1'),
    findFreePort('127.0.0.1'),
  ]);
  const start = (bus: number) =>
    startRedis(
      [
        ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'],
        ...['--cluster-port', String(bus), '--cluster-announce-hostname', 'localhost'],
        ...['--cluster-preferred-endpoint-type', 'hostname'],
        ...settings,
      ],
      clientOptions,
    );
  const nodes = await Promise.all([start(firstBus), start(secondBus)]);
  const [first, second] = nodes;
  await first.client.cluster('ADDSLOTSRANGE', 0, 8191);
  await second.client.cluster('ADDSLOTSRANGE', 8192, 16383);
  await second.client.cluster('SET-CONFIG-EPOCH', 2);
  await first.client.call('CLUSTER', 'MEET', '127.0.0.1', second.port, secondBus);
  await until(async () => {
    const states = await Promise.all(nodes.map(({ client }) => client.cluster('INFO')));
    return states.every((state) => state.includes('cluster_state:ok'));
  });
  // Which it tells later than that it is there.
  await until(async () => {
    const slots = await Promise.all(nodes.map(({ client }) => client.cluster('SLOTS')));
    return slots.flat().every(([, , node]) => node?.[0] === 'localhost');
  });
  return {
    nodes,
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  };
}
