import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { CygniError, type TrafficTarget } from '@cygni/core';
import { type Backend, createBackend } from './backend.ts';
import { answerShortly, forwardRequest } from './forward-request.ts';
import { forwardUpgrade } from './forward-upgrade.ts';
import { mapError } from './map-error.ts';

/** The public port of one service, and the proxy behind it. */
export interface ServiceFront {
  readonly port: number;
  readonly traffic: readonly TrafficTarget[];
  readonly listening: boolean;
  /** Idempotent. @throws `unavailable` while somebody else has the port */
  listen(): Promise<void>;
  /** Switches all new requests at once; those in flight stay where they are. */
  route(traffic: readonly TrafficTarget[], portOf: (revision: number) => number): void;
  /** Takes a revision out; what traffic there is goes to the others. */
  withdraw(revision: number): void;
  /** Waits until a revision without traffic has no exchange under way, at most so long. */
  drain(revision: number, milliseconds: number, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}

export function createServiceFront(host: string, port: number): ServiceFront {
  let traffic: readonly TrafficTarget[] = [];
  const backends = new Map<number, Backend>();
  const upgraded = new Set<Duplex>();
  let opening: Promise<void> | undefined;

  const server = createServer(
    {
      // A client that sends its request slowly holds a connection no longer than this.
      headersTimeout: 15_000,
      requestTimeout: 300_000,
      keepAliveTimeout: 10_000,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: 32 * 1024,
    },
    (incoming, outgoing) => {
      const backend = choose();
      if (backend) forwardRequest(backend, incoming, outgoing);
      else answerShortly(outgoing, 503);
    },
  );
  server.maxConnections = 10_000;
  server.on('upgrade', (incoming, client, head) => {
    upgraded.add(client);
    client.once('close', () => upgraded.delete(client));
    const backend = choose();
    if (backend) {
      try {
        forwardUpgrade(backend, incoming, client, head);
      } catch {
        client.destroy();
      }
    } else
      client.end(
        'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      );
  });

  function choose(): Backend | undefined {
    const total = traffic.reduce((sum, { percent }) => sum + percent, 0);
    let rest = Math.random() * total;
    for (const { revision, percent } of traffic) {
      rest -= percent;
      if (rest < 0) return backends.get(revision);
    }
    return undefined;
  }

  return {
    port,
    get traffic() {
      return traffic;
    },
    get listening() {
      return server.listening;
    },
    listen() {
      opening ??= new Promise<void>((resolve, reject) => {
        const refuse = (error: Error) => {
          opening = undefined;
          reject(mapListenError(error, port));
        };
        server.once('error', refuse);
        server.listen({ port, host, exclusive: true }, () => {
          server.off('error', refuse);
          resolve();
        });
      });
      return opening;
    },
    route(targets, portOf) {
      for (const { revision } of targets) {
        const target = portOf(revision);
        const known = backends.get(revision);
        // Started again, it has another port, and nobody is at the old one.
        if (known?.port === target) continue;
        known?.close();
        backends.set(revision, createBackend(target));
      }
      traffic = targets.filter(({ percent }) => percent > 0);
    },
    withdraw(revision) {
      traffic = traffic.filter((target) => target.revision !== revision);
    },
    async drain(revision, milliseconds, signal) {
      const backend = backends.get(revision);
      if (!backend) return true;
      const drained = await backend.drain(milliseconds, signal);
      if (signal.aborted) return drained;
      if (!traffic.some((target) => target.revision === revision)) backends.delete(revision);
      backend.close();
      return drained;
    },
    async close() {
      traffic = [];
      const closed = new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      server.closeAllConnections();
      for (const client of upgraded) client.destroy();
      for (const backend of backends.values()) backend.close();
      await closed;
    },
  };
}

function mapListenError(error: Error, port: number): Error {
  const code = 'code' in error ? String(error.code) : '';
  if (code !== 'EADDRINUSE') return mapError(error, `port ${port} cannot be opened`);
  return new CygniError('unavailable', `port ${port} of the service is in use by another program`, {
    cause: error,
  });
}
