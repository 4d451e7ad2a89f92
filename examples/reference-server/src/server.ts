import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { join } from 'node:path';
import { type Logger, roles } from '@cygni/core';
import { createRouter } from '@cygni/http';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import express from 'express';
import { openAccess } from './access.ts';
import { compose } from './compose.ts';
import { type Configuration, formatAddress } from './configuration.ts';
import { loadWebhookKeys } from './outbound.ts';

const startTimeoutMs = 60_000;
/** A request in flight may finish for this long; then its connection is cut. */
const drainMs = 1_500;

export interface RunningServer {
  readonly url: string;
  /** Stops taking work, lets requests finish, gives claims back, ends every process it started. */
  close(): Promise<void>;
}

/** Starts everything in this process. What was started is closed again if a later step fails. */
export async function startServer(
  configuration: Configuration,
  log: Logger,
): Promise<RunningServer> {
  const signal = AbortSignal.timeout(startTimeoutMs);
  const cleanUp = new AsyncDisposableStack();
  try {
    await mkdir(configuration.dataDirectory, { recursive: true, mode: 0o700 });
    const database = await openDatabase(configuration, log, signal, cleanUp);
    const access = await openAccess(configuration.dataDirectory);
    const webhookKeys = await loadWebhookKeys(configuration);

    let answer: RequestListener = (_request, response) => {
      response.writeHead(503, { 'Retry-After': '1' }).end();
    };
    const server = createServer({ requestTimeout: 3_600_000, headersTimeout: 10_000 }, (...both) =>
      answer(...both),
    );
    const port = await listen(server, configuration);
    cleanUp.defer(() => closeServer(server));

    const { platform, registryServer, describeAdapters } = compose(configuration, {
      databaseUrl: database.url,
      access,
      webhookKeys,
      port,
      log,
    });
    await registryServer?.open();
    cleanUp.defer(() => registryServer?.close());
    const { authenticator } = access;
    const app = express()
      .disable('x-powered-by')
      .use(createRouter(platform, { authenticator, log }));
    answer = (request, response) => {
      if (registryServer && request.url?.startsWith('/v2'))
        registryServer.handle(request, response);
      else app(request, response);
    };
    await platform.open(signal);
    // In reverse: work and streams end, requests in flight finish, then what they need is closed.
    cleanUp.defer(() => platform.close());
    cleanUp.defer(() => closeServer(server));
    cleanUp.defer(() => platform.stop());
    platform
      .run({ roles, signal: platform.stopping })
      .catch((err: unknown) => log.error({ err }, 'a role ended unexpectedly'));

    const adapters = { ...describeAdapters(), store: database.name };
    for (const [contract, adapter] of Object.entries(adapters)) {
      log.info({ contract, adapter }, `${contract}: ${adapter}`);
    }
    const url = `http://${formatAddress(configuration.advertisedHost, port)}`;
    return { url, close: () => cleanUp.disposeAsync() };
  } catch (error) {
    await cleanUp.disposeAsync();
    throw error;
  }
}

async function openDatabase(
  configuration: Configuration,
  log: Logger,
  signal: AbortSignal,
  cleanUp: AsyncDisposableStack,
): Promise<{ readonly url: string; readonly name: string }> {
  if (configuration.databaseUrl !== undefined) {
    return { url: configuration.databaseUrl, name: 'postgres' };
  }
  const directory = join(configuration.dataDirectory, 'postgres');
  const embedded = await startEmbeddedPostgres({ directory, log, signal });
  cleanUp.defer(() => embedded.close());
  return { url: embedded.url, name: 'postgres (embedded)' };
}

async function listen(server: Server, { host, port }: Configuration): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
  return address.port;
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearTimeout(cut);
}
