import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Logger, Platform } from '@cygni/core';
import { type Authenticator, createRouter, scopes } from '@cygni/http';
import express from 'express';

/** The token is the tenant's name: who may do what is not what is tried here. */
const authenticator: Authenticator = {
  async verify(token) {
    return {
      tenantId: token,
      subject: token,
      scopes: new Set(scopes),
      repository: null,
      expiresAt: Number.MAX_SAFE_INTEGER,
    };
  },
};

export interface RunningApi {
  readonly port: number;
  close(): Promise<void>;
}

export async function serveApi(platform: Platform, log: Logger): Promise<RunningApi> {
  const server = createServer(express().use(createRouter(platform, { authenticator, log })));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
  return { port: address.port, close: () => closeServer(server) };
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), 1_500);
  await closed;
  clearTimeout(cut);
}
