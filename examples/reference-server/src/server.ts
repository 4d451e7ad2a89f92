import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, type Platform, roles } from '@cygni/core';
import { createRouter, type RateLimits } from '@cygni/http';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import express from 'express';
import { Gauge } from 'prom-client';
import { openAccess } from './access.ts';
import { compose } from './compose.ts';
import { type Configuration, formatAddress } from './configuration.ts';
import { loadKey } from './keys.ts';
import { listenerOptions } from './listener-options.ts';
import { createMetricsServer } from './metrics-server.ts';
import { createRateLimitStores } from './rate-limit-store.ts';
import { collectRegistryGarbage } from './registry-garbage.ts';
import { version } from './version.ts';

const startTimeoutMs = 60_000;
/**
 * So long the server still answers after it has said that it is not ready, while load balancers learn it. It asks for
 * each connection to be closed, so that at the end none is in use whose next request would meet nobody.
 */
const leavingMs = 1_000;
/** A request in flight may finish for this long; then its connection is cut. */
const drainMs = 1_500;

export interface RunningServer {
  readonly url: string;
  /** Null: metrics have no port of their own. */
  readonly metricsUrl: string | null;
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
    const access = await openAccess(configuration.dataDirectory, configuration.trustedIssuers, log);
    const { dataDirectory } = configuration;
    const webhookKeys = configuration.outbound.webhookKeys ?? [
      await loadKey('webhook', dataDirectory),
    ];
    const sealingKeys = configuration.sealingKeys ?? [await loadKey('sealing', dataDirectory)];
    if (configuration.databaseUrl !== undefined && !configuration.sealingKeys) {
      const file = join(dataDirectory, 'sealing-key');
      log.warn({ file }, 'SEALING_KEYS is not set: no other server can open what this one seals');
    }

    let isLeaving = false;
    let answer: RequestListener = (_request, response) => {
      response.writeHead(503, { 'Retry-After': '1' }).end();
    };
    const server = createServer(listenerOptions, (...both) => answer(...both));
    const port = await listen(server, configuration.host, configuration.port);
    cleanUp.defer(() => closeServer(server));

    const { platform, registryServer, describeAdapters } = compose(configuration, {
      databaseUrl: database.url,
      access,
      webhookKeys,
      sealingKeys,
      port,
      log,
    });
    await registryServer?.open();
    cleanUp.defer(() => registryServer?.close());
    const { authenticator } = access;
    const { corsOrigins, trustProxy } = configuration.exposure;
    const metrics = configuration.hasPublicMetrics;
    const rateLimits = limitRates(configuration, log, cleanUp);
    const app = express()
      .disable('x-powered-by')
      .set('trust proxy', trustProxy)
      .use(createRouter(platform, { authenticator, log, metrics, rateLimits, corsOrigins }));
    answer = (request, response) => {
      if (isLeaving) response.setHeader('Connection', 'close');
      if (registryServer && request.url?.startsWith('/v2'))
        registryServer.handle(request, response);
      else app(request, response);
    };
    registerBuildInfo(platform);
    const metricsUrl = await serveMetrics(configuration, platform, cleanUp);
    await platform.open(signal);
    // In reverse: work and streams end, requests in flight finish, then what they need is closed.
    cleanUp.defer(() => platform.close());
    cleanUp.defer(() => closeServer(server));
    cleanUp.defer(async () => {
      isLeaving = true;
      await Promise.all([platform.stop(), delay(leavingMs)]);
    });
    platform
      .run({ roles, signal: platform.stopping })
      .catch((err: unknown) => log.error({ err }, 'a role ended unexpectedly'));
    if (registryServer) {
      const intervalMs = configuration.registryGarbageSeconds * 1000;
      void collectRegistryGarbage(registryServer, platform, { intervalMs, log });
    }

    const adapters = { ...describeAdapters(), store: database.name };
    for (const [contract, adapter] of Object.entries(adapters)) {
      log.info({ contract, adapter }, `${contract}: ${adapter}`);
    }
    const url = `http://${formatAddress(configuration.advertisedHost, port)}`;
    return { url, metricsUrl, close: () => cleanUp.disposeAsync() };
  } catch (error) {
    await cleanUp.disposeAsync();
    throw error;
  }
}

function limitRates(
  { exposure, redisUrl, redisCluster }: Configuration,
  log: Logger,
  cleanUp: AsyncDisposableStack,
): RateLimits {
  const limits = { ...exposure.rateLimits, windowSeconds: 60 };
  if (redisUrl === undefined) return limits;
  const { createStore } = cleanUp.use(
    createRateLimitStores({ url: redisUrl, cluster: redisCluster }, log),
  );
  return { ...limits, createStore };
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

function registerBuildInfo({ metrics }: Platform): void {
  const info = new Gauge({
    name: 'cygni_build_info',
    help: 'Always 1; its label says which version runs.',
    labelNames: ['version'],
    registers: [metrics],
  });
  info.set({ version }, 1);
}

async function serveMetrics(
  { metricsPort, host, advertisedHost }: Configuration,
  platform: Platform,
  cleanUp: AsyncDisposableStack,
): Promise<string | null> {
  if (metricsPort === undefined) return null;
  const server = createMetricsServer(platform);
  const port = await listen(server, host, metricsPort);
  cleanUp.defer(() => closeServer(server));
  return `http://${formatAddress(advertisedHost, port)}/metrics`;
}

async function listen(server: Server, host: string, port: number): Promise<number> {
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
