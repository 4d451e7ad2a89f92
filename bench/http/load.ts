import { randomUUID } from 'node:crypto';
import autocannon from 'autocannon';
import { sourceId } from './protocol.ts';
import type { ServerProcess } from './server-process.ts';

const connections = 50;

export interface Rate {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuMsPerRequest: number;
}

/** Asks for builds, each with an Idempotency-Key of its own. */
export async function postBuilds(server: ServerProcess, seconds: number): Promise<Rate> {
  const body = JSON.stringify({ sourceId, repository: 'hello', tags: ['v1'] });
  const headers = { ...authorized(server), 'content-type': 'application/json' };
  return measure(server, {
    url: `${server.url}/v1/builds`,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        setupRequest: (request) => ({
          ...request,
          headers: { ...headers, 'idempotency-key': randomUUID() },
          body,
        }),
      },
    ],
  });
}

export async function getBuild(server: ServerProcess, seconds: number): Promise<Rate> {
  const id = await acceptBuild(server);
  const url = `${server.url}/v1/builds/${id}`;
  return measure(server, { url, headers: authorized(server), duration: seconds });
}

export async function acceptBuild(server: ServerProcess): Promise<string> {
  const response = await fetch(`${server.url}/v1/builds`, {
    method: 'POST',
    headers: { ...authorized(server), 'content-type': 'application/json' },
    body: JSON.stringify({ sourceId, repository: 'hello' }),
  });
  if (response.status !== 202) throw new Error(`a build was answered ${response.status}`);
  return Object(await response.json()).id;
}

export function authorized({ token }: ServerProcess): Record<string, string> {
  return token === '' ? {} : { authorization: `Bearer ${token}` };
}

async function measure(server: ServerProcess, options: autocannon.Options): Promise<Rate> {
  const before = await server.used();
  const result = await autocannon({ ...options, connections });
  const after = await server.used();
  if (result.non2xx + result.errors > 0) {
    throw new Error(`${result.non2xx} requests were refused, ${result.errors} failed`);
  }
  const { requests, latency } = result;
  return {
    perSecond: requests.average,
    p50: latency.p50,
    p99: latency.p99,
    cpuMsPerRequest: (after.cpuMs - before.cpuMs) / requests.total,
  };
}
