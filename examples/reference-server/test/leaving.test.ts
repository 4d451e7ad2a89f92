import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../packages/core/test/fixtures/call.ts';
import { packHelloSite } from '../../demo/src/pack-source.ts';
import { createServerProcess } from '../../demo/src/server-process.ts';
import { type LoadBalancer, startLoadBalancer } from './support/load-balancer.ts';

const streams = 100;
const clients = 10;

const cleanUp = new AsyncDisposableStack();
let directory: string;
let first: ReturnType<typeof createServerProcess>;
let balancer: LoadBalancer;
let token: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-leaving-'));
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({
    directory: join(directory, 'postgres'),
    log: silentLog,
    signal: AbortSignal.timeout(60_000),
  });
  cleanUp.defer(() => postgres.close());
  const environment = {
    DATABASE_URL: postgres.url,
    REGISTRY_URL: await startHangingRegistry(),
    BUILD_ENGINE: 'assemble',
    DEPLOY_RUNTIME: 'namespaces',
    BUILDS_PER_TENANT: '1',
  };
  first = createServerProcess(join(directory, 'first'), environment);
  const second = createServerProcess(join(directory, 'second'), environment);
  for (const name of ['first', 'second'])
    await mkdir(join(directory, name, 'data'), { recursive: true });
  const patience = AbortSignal.timeout(90_000);
  const one = await first.start(patience);
  cleanUp.defer(async () => void (await first.stop()));
  token = one.token;
  // One key, so that a token of one is good at both.
  const key = (name: string) => join(directory, name, 'data', 'signing-key.json');
  await copyFile(key('first'), key('second'));
  const two = await second.start(patience);
  cleanUp.defer(async () => void (await second.stop()));
  balancer = await startLoadBalancer([one.url, two.url], 100);
  cleanUp.use(balancer);
}, 120_000);
afterAll(() => cleanUp.disposeAsync(), 30_000);

/** So that a build that pushes goes on until nobody waits for it. */
async function startHangingRegistry(): Promise<string> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.defer(() => void server.close());
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return `http://127.0.0.1:${address.port}`;
}

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, ...init.headers };
  return fetch(balancer.url + path, { ...init, headers, signal: AbortSignal.timeout(30_000) });
}

async function acceptBuild(sourceId: string): Promise<Response> {
  return ask('/v1/builds', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sourceId, repository: 'hello' }),
  });
}

describe('a server that is told to go, under load', () => {
  it('fails no request and cuts no stream short, and exits in time', async () => {
    const uploaded = await ask('/v1/sources', {
      method: 'POST',
      headers: { 'content-type': 'application/gzip' },
      body: await packHelloSite(directory),
    });
    const { id: sourceId } = (await uploaded.json()) as { id: string };
    const { id } = (await (await acceptBuild(sourceId)).json()) as { id: string };

    const readers = Array.from({ length: streams }, async () => {
      const stream = await ask(`/v1/builds/${id}/logs`, {
        headers: { accept: 'text/event-stream' },
      });
      return { status: stream.status, ended: stream.text().then(() => 'ended', String) };
    });
    const opened = await Promise.all(readers);
    expect(opened.map(({ status }) => status)).toEqual(Array(streams).fill(200));

    const statuses: number[] = [];
    const over = new AbortController();
    const load = Array.from({ length: clients }, async (_, client) => {
      while (!over.signal.aborted) {
        const response = client === 0 ? await acceptBuild(sourceId) : await ask(`/v1/builds/${id}`);
        await response.text();
        statuses.push(response.status);
      }
    });
    const answeredMore = async (count: number) => {
      const wanted = statuses.length + count;
      while (statuses.length < wanted) await new Promise((resolve) => setImmediate(resolve));
    };
    await answeredMore(200);
    const [code] = await Promise.all([first.stop(), answeredMore(200)]);
    await answeredMore(200);
    over.abort();
    await Promise.all(load);

    expect(code).toBe(0);
    const log = await readFile(join(directory, 'first', 'server.log'), 'utf8');
    expect(log).toContain('"stopped"');
    expect(log).not.toContain('took too long');
    expect(balancer.failures).toEqual([]);
    expect(statuses.filter((status) => status !== 200 && status !== 202)).toEqual([]);
    // Those of the other server go on; half of them were with the one that left, and all of these were ended in order.
    const ended = await Promise.all(
      opened.map(({ ended: end }) => Promise.race([end, Promise.resolve('open')])),
    );
    expect(ended.filter((how) => how === 'ended').length).toBeGreaterThanOrEqual(streams / 2 - 1);
    expect(ended.filter((how) => how !== 'ended' && how !== 'open')).toEqual([]);
  });
});
