import type { Account, Build, Deployment, LogLine, Service, Source } from '@cygni/core';
import { EventSourceParserStream } from 'eventsource-parser/stream';

const requestTimeoutMs = 60_000;
const pollMs = 200;

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** A user's view of the API: HTTP with a token, and nothing else. */
export function createApiClient(url: string, token: string, signal: AbortSignal) {
  async function send(
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    type?: string,
  ) {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(type === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    });
    return response;
  }

  async function expect<Body>(status: number, response: Response): Promise<Body> {
    if (response.status !== status) {
      throw new Error(`expected ${status}, got ${response.status}: ${await response.text()}`);
    }
    return (await response.json()) as Body;
  }

  async function* followLines(buildId: string): AsyncGenerator<LogLine> {
    const response = await fetch(new URL(`/v1/builds/${buildId}/logs`, url), {
      headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
      signal,
    });
    if (!response.body) throw new Error(`no log: ${response.status}`);
    const events = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    for await (const { event, data } of events) {
      if (event === 'end') return;
      yield JSON.parse(data) as LogLine;
    }
  }

  const postJson = (path: string, body: unknown) =>
    send('POST', path, JSON.stringify(body), 'application/json');

  return {
    async upload(archive: Uint8Array<ArrayBuffer>): Promise<Source> {
      return expect<Source>(201, await send('POST', '/v1/sources', archive, 'application/gzip'));
    },
    async build(request: object): Promise<Build> {
      return expect<Build>(202, await postJson('/v1/builds', request));
    },
    /** For a request that is expected to be refused. */
    async tryBuild(request: object): Promise<Answer<Record<string, unknown>>> {
      const response = await postJson('/v1/builds', request);
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    async getBuild(id: string): Promise<Build & { image: { reference: string } | null }> {
      return expect(200, await send('GET', `/v1/builds/${id}`));
    },
    async cancelBuild(id: string): Promise<Build> {
      return expect<Build>(202, await send('POST', `/v1/builds/${id}:cancel`));
    },
    /** The log lines as the server sends them, until the build has ended. */
    followLines,
    async *followLog(buildId: string): AsyncGenerator<string> {
      for await (const { text } of followLines(buildId)) yield text;
    },
    async deploy(request: object): Promise<Deployment> {
      return expect<Deployment>(202, await postJson('/v1/deployments', request));
    },
    /** Polls until the deployment has ended. */
    async waitForDeployment(id: string, onPhase: (phase: string) => void): Promise<Deployment> {
      let last = '';
      for (;;) {
        const deployment = await expect<Deployment>(
          200,
          await send('GET', `/v1/deployments/${id}`),
        );
        if (deployment.phase !== last && deployment.phase !== 'DONE') onPhase(deployment.phase);
        last = deployment.phase;
        if (deployment.finishedAt !== null) return deployment;
        await new Promise((resolve) => setTimeout(resolve, pollMs));
        signal.throwIfAborted();
      }
    },
    async getService(name: string): Promise<Service> {
      return expect<Service>(200, await send('GET', `/v1/services/${name}`));
    },
    async getBudget(): Promise<Account> {
      return expect<Account>(200, await send('GET', '/v1/budgets/current'));
    },
    async setBudget(limit: number): Promise<Account> {
      const body = JSON.stringify({ limit });
      return expect<Account>(
        200,
        await send('PUT', '/v1/budgets/current', body, 'application/json'),
      );
    },
  };
}

export type ApiClient = ReturnType<typeof createApiClient>;
