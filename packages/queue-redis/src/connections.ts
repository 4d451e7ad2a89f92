import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { ResolvedOptions } from './options.ts';

export type Connection = Redis | Cluster;

/** The longest that a socket may be silent while it owes an answer. */
const socketTimeoutMs = 5_000;
const longestReconnectDelayMs = 500;

function reconnectDelay(times: number): number {
  return Math.min(50 * 2 ** times, longestReconnectDelayMs) * (0.5 + Math.random() / 2);
}

const bounded: RedisOptions = {
  connectTimeout: 2_000,
  // A server that is paused, or behind a firewall that has forgotten the connection, never closes it. Timers of each
  // command would cost a good part of the rate.
  socketTimeout: socketTimeoutMs,
  keepAlive: 10_000,
  retryStrategy: reconnectDelay,
  // A primary that became a replica keeps its connections: the name may point to another one by now.
  reconnectOnError: (error) => error.message.startsWith('READONLY'),
  autoResubscribe: false,
};

/** Refuses commands at once while there is no connection. */
const producing: RedisOptions = {
  ...bounded,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
};

/** Holds commands back while there is no connection, as BullMQ's worker asks for. */
const consuming: RedisOptions = {
  ...bounded,
  enableOfflineQueue: true,
  maxRetriesPerRequest: null,
};

/** Connects in the background, and again whenever it has to. Errors, of which there is one for each attempt, go to `onError`. */
export function createConnection(
  options: ResolvedOptions,
  purpose: 'producing' | 'consuming',
  onError: (error: Error) => void,
): Connection {
  const own = purpose === 'producing' ? producing : consuming;
  const connection =
    'connection' in options ? duplicate(options.connection, own) : connect(options, own);
  connection.on('error', onError);
  return connection;
}

function duplicate(lent: Connection, own: RedisOptions): Connection {
  if (!(lent.isCluster && 'nodes' in lent))
    return (lent as Redis).duplicate({ ...own, lazyConnect: false });
  const redisOptions = { ...lent.options.redisOptions, ...own };
  return lent.duplicate([], { ...clusterOptions(own), redisOptions });
}

function connect(
  { url, cluster }: Extract<ResolvedOptions, { url: string }>,
  own: RedisOptions,
): Connection {
  if (!cluster) return new Redis(url, own);
  const { protocol, username, password } = new URL(url);
  const redisOptions: RedisOptions = {
    ...own,
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  };
  return new Cluster([url], { ...clusterOptions(own), redisOptions });
}

function clusterOptions({ enableOfflineQueue = true }: RedisOptions): ClusterOptions {
  return {
    enableOfflineQueue,
    clusterRetryStrategy: reconnectDelay,
    // Names, not addresses: certificates are made out to names.
    dnsLookup: (address, callback) => callback(null, address),
  };
}

export function isReady(connection: Connection): boolean {
  return connection.status === 'ready';
}
