import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  type Build,
  type Deployment,
  isTerminalBuildState,
  isTerminalDeploymentState,
} from '@cygni/core';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import { context, propagation, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packHelloSite } from '../../demo/src/pack-source.ts';
import { readConfiguration } from '../src/configuration.ts';
import { createLogger } from '../src/logger.ts';
import { type RunningServer, startServer } from '../src/server.ts';
import { dumpTables } from './support/dump-tables.ts';
import { listen } from './support/listen.ts';
import { startTellingRegistry, type TellingRegistry } from './support/telling-registry.ts';

/** Secrets that are nowhere else. Their middles are looked for, in case something has cut the ends off. */
const canaries = Object.fromEntries(
  [
    'registryPassword',
    'redisPassword',
    'idempotencyKey',
    'query',
    'badToken',
    'field',
    'malformed',
    'environment',
    'buildArgument',
    'header',
    'trace',
    'git',
    'webhookUrl',
  ].map((place) => [place, `canary-${place}-${randomBytes(12).toString('hex')}`]),
) as Record<string, string>;
const coreOf = (canary: string) => canary.slice(-16);

const cleanUp = new AsyncDisposableStack();
const exporter = new InMemorySpanExporter();
const logged: string[] = [];
const answers: string[] = [];
let directory: string;
let server: RunningServer;
let ownerToken: string;
let databaseUrl: string;
let registry: TellingRegistry;
let receiver: { readonly url: string; readonly called: Promise<void> };

beforeAll(async () => {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  cleanUp.defer(() => {
    trace.disable();
    context.disable();
    propagation.disable();
  });
  directory = await mkdtemp(join(tmpdir(), 'cygni-canary-'));
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  const log = createLogger({
    level: 'debug',
    version: '0.0.0',
    // None is named: nothing may depend on the last line of defence.
    secrets: [],
    destination: { write: (line) => logged.push(line) },
  });
  const postgres = await startEmbeddedPostgres({
    directory: join(directory, 'postgres'),
    log,
    signal: AbortSignal.timeout(60_000),
  });
  cleanUp.defer(() => postgres.close());
  databaseUrl = postgres.url;
  registry = cleanUp.use(await startTellingRegistry());
  const { promise: called, resolve } = Promise.withResolvers<void>();
  const { port } = cleanUp.use(
    await listen((request, response) => {
      request.resume();
      response.end();
      resolve();
    }),
  );
  receiver = { url: `http://localhost:${port}/`, called };
  const result = readConfiguration({
    CYGNI_DATA_DIR: join(directory, 'data'),
    PORT: '0',
    METRICS_PORT: '0',
    DATABASE_URL: databaseUrl,
    REGISTRY_URL: registry.url,
    REGISTRY_USERNAME: 'cygni',
    REGISTRY_PASSWORD: canaries.registryPassword,
    BUILD_ENGINE: 'assemble',
    DEPLOY_RUNTIME: 'namespaces',
    WEBHOOK_ALLOWED_HOSTS: 'localhost',
    LOG_LEVEL: 'debug',
  });
  if (!result.ok) throw new Error(result.problems.join('; '));
  server = await startServer(result.configuration, log);
  cleanUp.defer(() => server.close());
  ownerToken = (await readFile(join(directory, 'data', 'token'), 'utf8')).trim();
}, 90_000);
afterAll(() => cleanUp.disposeAsync(), 30_000);

function request(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${ownerToken}`, ...init.headers };
  return fetch(server.url + path, { ...init, method, headers });
}

/** As `request`, and the answer is searched. */
async function ask(...all: Parameters<typeof request>): Promise<Response> {
  const response = await request(...all);
  answers.push(await response.clone().text(), JSON.stringify([...response.headers]));
  return response;
}

const json = { 'content-type': 'application/json' };

function postJson(path: string, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return ask('POST', path, { headers: { ...json, ...headers }, body: text });
}

async function build(request: object, headers: Record<string, string> = {}): Promise<Build> {
  const source = await ask('POST', '/v1/sources', {
    headers: { 'content-type': 'application/gzip' },
    body: new Uint8Array(await packHelloSite(directory)),
  });
  const { id: sourceId } = (await source.json()) as { id: string };
  const body = { sourceId, repository: 'hello', ...request };
  const accepted = (await (await postJson('/v1/builds', body, headers)).json()) as Build;
  for (;;) {
    const found = (await (await ask('GET', `/v1/builds/${accepted.id}`)).json()) as Build;
    if (isTerminalBuildState(found.state)) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function deploy(environment: Record<string, string>): Promise<Deployment> {
  const image = { repository: 'hello', digest: registry.digest };
  const body = { service: 'hello', image, environment };
  const accepted = (await (await postJson('/v1/deployments', body)).json()) as Deployment;
  for (;;) {
    const path = `/v1/deployments/${accepted.id}`;
    const found = (await (await ask('GET', path)).json()) as Deployment;
    if (isTerminalDeploymentState(found.state)) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** What an endpoint signs with: at first, and after a rotation. These two answers alone may tell. */
async function makeEndpoint(): Promise<Record<'endpointSecret' | 'rotatedSecret', string>> {
  const post = async (path: string, body: object) => {
    const text = JSON.stringify(body);
    const headers = { ...json, 'idempotency-key': canaries.idempotencyKey ?? '' };
    const answer = await request('POST', path, { headers, body: text });
    expect(answer.ok).toBe(true);
    return (await answer.json()) as { readonly id: string; readonly secret: string };
  };
  const { id, secret: endpointSecret } = await post('/v1/webhook-endpoints', { url: receiver.url });
  const path = `/v1/webhook-endpoints/${id}`;
  const { secret: rotatedSecret } = await post(`${path}:rotate-secret`, {});
  await receiver.called;
  await ask('GET', '/v1/webhook-endpoints');
  await ask('GET', path);
  await ask('GET', `${path}/deliveries`);
  return { endpointSecret, rotatedSecret };
}

describe('a secret', () => {
  it('that was sent in every place that takes one is found in no log, metric, trace, answer or table', async () => {
    const ended = await build(
      { buildArguments: { TOKEN: canaries.buildArgument } },
      { 'idempotency-key': canaries.idempotencyKey ?? '' },
    );
    expect(ended).toMatchObject({ state: 'FAILED' });
    await ask('GET', `/v1/builds/${ended.id}/logs`);
    for (const authorization of [
      `Bearer ${canaries.badToken}`,
      `Basic ${Buffer.from(`me:${canaries.badToken}`).toString('base64')}`,
      `${canaries.badToken}`,
      `Bearer ${ownerToken.slice(0, -10)}${coreOf(canaries.badToken ?? '')}`,
    ]) {
      expect((await ask('GET', '/v1/builds', { headers: { authorization } })).status).toBe(401);
    }
    const { query, field, malformed, header } = canaries;
    await ask('GET', `/v1/builds?limit=${query}&cursor=${query}&access_token=${query}`);
    await ask('GET', `/v1/nothing?token=${query}`);
    await postJson('/v1/builds', { sourceId: field, repository: field, tenantId: field });
    await postJson('/v1/builds', `{"a": "${malformed}`);
    await postJson('/v1/builds', {}, { 'idempotency-key': `${canaries.idempotencyKey} ` });
    await ask('POST', '/v1/sources', {
      headers: { 'content-type': 'application/gzip' },
      body: `${malformed}`,
    });
    await ask('POST', '/v1/sources', {
      headers: { 'content-type': 'application/gzip' },
      body: gzipSync(`${malformed}`).subarray(0, -4),
    });
    await ask('GET', '/v1/builds', {
      headers: { 'x-api-key': header ?? '', cookie: header ?? '' },
    });
    const { trace: traced, git, webhookUrl } = canaries;
    await ask('GET', '/v1/builds', {
      headers: { traceparent: `00-${traced}-01`, baggage: `user=${traced}` },
    });
    for (const url of [`https://me:${git}@localhost/x.git`, `https://localhost/x.git?t=${git}`]) {
      expect((await postJson('/v1/sources:fetch', { git: { url } })).status).toBe(400);
    }
    const endpoint = { url: receiver.url.replace('//', `//me:${webhookUrl}@`) };
    expect((await postJson('/v1/webhook-endpoints', endpoint)).status).toBe(400);
    const signing = await makeEndpoint();
    const deployed = await deploy({ PASSWORD: canaries.environment ?? '' });
    expect(deployed).toMatchObject({ state: 'FAILED' });

    const metrics = await (await fetch(server.metricsUrl ?? '')).text();
    const spans = exporter.getFinishedSpans().map((span) => ({
      name: span.name,
      attributes: span.attributes,
      events: span.events,
      links: span.links,
      status: span.status,
    }));
    const tables = await dumpTables(databaseUrl);
    // What is searched is there.
    expect(logged.join('')).toContain('build finished');
    expect(metrics).toContain('http_request_duration_seconds_count');
    expect(spans.map(({ name }) => name)).toContainEqual(expect.stringMatching(/^BUILD local/));
    expect(tables.get('cygni.builds')).toContain('cygni.sealed.');
    expect(tables.get('cygni.revisions')).toContain('cygni.sealed.');
    expect(tables.get('cygni.deliveries')).toContain('webhook_endpoint.created');

    const [sealingKey = '', webhookKey = ''] = await Promise.all(
      ['sealing-key', 'webhook-key'].map((name) => readFile(join(directory, 'data', name), 'utf8')),
    );
    const secrets = { ...canaries, ...signing, ownerToken, sealingKey, webhookKey };
    /** What a tenant asks to be kept, and gets back. */
    const kept = new Set(['buildArgument', 'environment']);
    const found: string[] = [];
    for (const [place, secret] of Object.entries(secrets)) {
      const needles = [coreOf(secret), Buffer.from(secret).toString('base64').slice(4, -6)];
      const has = (text: string) => needles.some((needle) => text.includes(needle));
      if (has(logged.join(''))) found.push(`${place} in the log`);
      if (has(metrics)) found.push(`${place} in the metrics`);
      if (has(JSON.stringify(spans))) found.push(`${place} in a trace`);
      for (const [name, rows] of tables) {
        if (has(rows)) found.push(`${place} in ${name}`);
      }
      if (!kept.has(place) && has(answers.join('\n'))) found.push(`${place} in an answer`);
    }
    expect(found).toEqual([]);
  });

  it('of metrics there is nothing on the port of the API', async () => {
    expect((await ask('GET', '/metrics')).status).toBe(404);
    const elsewhere = new URL('/v1/builds', server.metricsUrl ?? '');
    expect((await fetch(elsewhere)).status).toBe(404);
    expect(await (await fetch(server.metricsUrl ?? '')).text()).toContain(
      'cygni_build_info{version=',
    );
  });

  it('in the address of a Redis that is away is in no log', async () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => lines.push(line) };
    const log = createLogger({ level: 'debug', version: '0.0.0', secrets: [], destination });
    const result = readConfiguration({
      CYGNI_DATA_DIR: join(directory, 'other'),
      PORT: '0',
      DATABASE_URL: databaseUrl,
      REDIS_URL: `redis://:${canaries.redisPassword}@127.0.0.1:1`,
      BUILD_ENGINE: 'assemble',
      DEPLOY_RUNTIME: 'namespaces',
    });
    if (!result.ok) throw new Error(result.problems.join('; '));
    const other = await startServer(result.configuration, log);
    try {
      expect(await (await fetch(`${other.url}/readyz`)).json()).toMatchObject({
        degraded: ['queue'],
      });
    } finally {
      await other.close();
    }
    expect(lines.join('')).toContain('out of reach');
    expect(lines.join('')).not.toContain(coreOf(canaries.redisPassword ?? ''));
  });
});
