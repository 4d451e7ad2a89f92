import type { ServerOptions } from 'node:http';

/**
 * How patient the server is with clients. Tighter than Node's own minute for headers and five for bodies; the time of a
 * JSON body and the pauses of an upload are bounded by the router.
 */
export const listenerOptions: ServerOptions = {
  headersTimeout: 10_000,
  /** The longest upload. */
  requestTimeout: 3_600_000,
  connectionsCheckingInterval: 2_000,
  /** Longer than the minute after which load balancers drop idle connections: they have to be the first. */
  keepAliveTimeout: 75_000,
  maxHeaderSize: 16 * 1024,
};
