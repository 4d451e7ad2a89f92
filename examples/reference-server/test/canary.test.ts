import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Build, isTerminalBuildState } from '@cygni/core';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import { context, propagation, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packHelloSite } from '../../demo/src/pack-source.ts';
import { readConfiguration } from '../src/configuration.ts';
import { createLogger } from '../src/logger.ts';
import { type RunningServer, startServer } from '../src/server.ts';

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
  const registry = await startTellingRegistry();
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
    LOG_LEVEL: 'debug',
  });
  if (!result.ok) throw new Error(result.problems.join('; '));
  server = await startServer(result.configuration, log);
  cleanUp.defer(() => server.close());
  ownerToken = (await readFile(join(directory, 'data', 'token'), 'utf8')).trim();
}, 90_000);
afterAll(() => cleanUp.disposeAsync(), 30_000);

/** A registry that refuses everybody, and tells in the refusal with what it was asked. */
async function startTellingRegistry(): Promise<{ readonly url: string }> {
  const listener = createServer((request, response) => {
    const { authorization = 'none' } = request.headers;
    const credentials = Buffer.from(authorization.split(' ')[1] ?? '', 'base64').toString();
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="telling"' });
    const message = `${authorization} means ${credentials}: refused`;
    response.end(JSON.stringify({ errors: [{ code: 'DENIED', message }] }));
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  cleanUp.defer(() => {
    listener.closeAllConnections();
    listener.close();
  });
  const address = listener.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return { url: `http://127.0.0.1:${address.port}` };
}

async function ask(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${ownerToken}`, ...init.headers };
  const response = await fetch(server.url + path, { ...init, method, headers });
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

/** Every row of every table, as text, by table. */
async function dumpTables(): Promise<ReadonlyMap<string, string>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) AS name
         FROM information_schema.tables
        WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    const dumped = new Map<string, string>();
    for (const { name } of rows) {
      const found = await client.query(`SELECT row_to_json(t)::text AS row FROM ${name} AS t`);
      dumped.set(name, found.rows.map(({ row }) => row).join('\n'));
    }
    return dumped;
  } finally {
    await client.end();
  }
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
    await postJson('/v1/deployments', {
      service: 'hello',
      image: { repository: 'hello', digest: `sha256:${'a'.repeat(64)}` },
      environment: { PASSWORD: canaries.environment },
    });

    const metrics = await (await fetch(server.metricsUrl ?? '')).text();
    const spans = exporter.getFinishedSpans().map((span) => ({
      name: span.name,
      attributes: span.attributes,
      events: span.events,
      status: span.status,
    }));
    const tables = await dumpTables();
    // What is searched is there.
    expect(logged.join('')).toContain('build finished');
    expect(metrics).toContain('http_request_duration_seconds_count');
    expect(spans.map(({ name }) => name)).toContainEqual(expect.stringMatching(/^BUILD local/));
    expect([...tables.keys()]).toEqual(
      expect.arrayContaining(['cygni.builds', 'cygni.log_chunks']),
    );

    const secrets = { ...canaries, ownerToken };
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
