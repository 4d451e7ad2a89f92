import { createMeteredBudget } from '@cygni/core';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { describe, expect, it } from 'vitest';
import {
  createScriptedPipeline,
  untilCancelled,
} from '../../core/test/fixtures/scripted-pipeline.ts';
import { knownDigest } from '../../core/test/fixtures/scripted-registry.ts';
import { bearer, startApi, type TestApi } from './fixtures/start-api.ts';

const unknownId = '00000000-0000-4000-8000-000000000000';

async function acceptBuild(api: TestApi): Promise<string> {
  const sourceId = await api.uploadSource();
  const response = await api.postJson('/v1/builds', { sourceId, repository: 'hello' });
  return ((await response.json()) as { id: string }).id;
}

async function readEvents(response: Response) {
  if (!response.body) throw new Error('no stream');
  return Array.fromAsync(
    response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()),
  );
}

describe.each(['/v1/builds', '/builds'])('POST %s', (path) => {
  it('answers 202 with the build, its id and where to look', async () => {
    await using api = await startApi();
    const sourceId = await api.uploadSource();
    const response = await api.postJson(path, { sourceId, repository: 'hello' });
    expect(response.status).toBe(202);
    const body = (await response.json()) as { id: string };
    expect(body).toMatchObject({ tenantId: 'acme', sourceId, repository: 'hello', attempt: 0 });
    expect(response.headers.get('location')).toBe(`/v1/builds/${body.id}`);
    expect(response.headers.get('retry-after')).toBe('1');
  });

  it('answers 400 with a pointer to each field that is wrong, and does not echo it', async () => {
    await using api = await startApi();
    const response = await api.postJson(path, {
      sourceId: 'hunter2',
      timeoutSeconds: -1,
      tenantId: 'other',
    });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    const text = await response.text();
    const { errors } = JSON.parse(text) as { errors: { pointer: string }[] };
    expect(errors.map(({ pointer }) => pointer).sort()).toEqual([
      '/repository',
      '/sourceId',
      '/tenantId',
      '/timeoutSeconds',
    ]);
    expect(text).not.toContain('hunter2');
  });

  it('answers 402 with the figures when the budget does not allow it', async () => {
    await using api = await startApi({ budget: createMeteredBudget({ cap: 5 }) });
    const sourceId = await api.uploadSource();
    const response = await api.postJson(path, { sourceId, repository: 'hello' });
    expect(response.status).toBe(402);
    expect(await response.json()).toMatchObject({
      code: 'budget-exceeded',
      limit: 5,
      spent: 0,
      reserved: 0,
      currency: 'USD',
      estimate: expect.any(Number),
      resetsAt: expect.any(String),
    });
  });
});

describe('a hostile body', () => {
  it.each<[string, string, number]>([
    ['that is not JSON', '{"a":', 400],
    ['that is JSON but no object', '"text"', 400],
    ['with __proto__', '{"__proto__":{"isAdmin":true},"repository":"a"}', 400],
    ['nested 10,000 deep', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, 400],
    ['of a megabyte', JSON.stringify({ repository: 'a'.repeat(1_000_000) }), 413],
  ])('%s is refused', async (_what, body, status) => {
    await using api = await startApi();
    expect((await api.postJson('/v1/builds', body)).status).toBe(status);
  });

  it('of another media type is 415', async () => {
    await using api = await startApi();
    const headers = { 'content-type': 'text/plain' };
    expect((await api.postJson('/v1/builds', '{}', headers)).status).toBe(415);
  });

  it('that is no gzip archive is refused as a source', async () => {
    await using api = await startApi();
    const headers = { 'content-type': 'application/gzip' };
    const response = await api.request('POST', '/v1/sources', { headers, body: 'plain' });
    expect(response.status).toBe(400);
  });
});

describe('an Idempotency-Key', () => {
  it('makes a repeated request give the same build, and another body 422', async () => {
    await using api = await startApi();
    const sourceId = await api.uploadSource();
    const key = { 'idempotency-key': 'k-1' };
    const send = async (repository: string) => {
      const response = await api.postJson('/v1/builds', { sourceId, repository }, key);
      return { status: response.status, body: (await response.json()) as { id?: string } };
    };
    const first = await send('hello');
    const again = await send('hello');
    expect(again).toMatchObject({ status: 202, body: { id: first.body.id } });
    expect((await send('other')).status).toBe(422);
  });

  it('that is malformed is 400', async () => {
    await using api = await startApi();
    const key = { 'idempotency-key': 'x'.repeat(300) };
    const body = { sourceId: await api.uploadSource(), repository: 'a' };
    expect((await api.postJson('/v1/builds', body, key)).status).toBe(400);
  });
});

describe('another tenant', () => {
  it('finds nothing of acme’s', async () => {
    await using api = await startApi();
    const id = await acceptBuild(api);
    const other = bearer(await api.token({ tenantId: 'other' }));
    for (const path of [`/v1/builds/${id}`, `/v1/builds/${id}/logs`]) {
      expect((await api.request('GET', path, other)).status).toBe(404);
    }
    expect((await api.request('POST', `/v1/builds/${id}:cancel`, other)).status).toBe(404);
    const list = await api.request('GET', '/v1/builds', other);
    expect(await list.json()).toEqual({ items: [], nextCursor: null });
  });

  it('cannot build acme’s source', async () => {
    await using api = await startApi();
    const sourceId = await api.uploadSource();
    const token = await api.token({ tenantId: 'other' });
    const body = { sourceId, repository: 'hello' };
    const response = await api.postJson('/v1/builds', body, { authorization: `Bearer ${token}` });
    expect(response.status).toBe(404);
  });
});

describe('the list of builds', () => {
  it('comes in pages, newest first, each build once', async () => {
    await using api = await startApi();
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) ids.push(await acceptBuild(api));
    const seen: string[] = [];
    let path: string | undefined = '/v1/builds?limit=2';
    while (path) {
      const response: Response = await api.request('GET', path);
      const page = (await response.json()) as { items: { id: string }[] };
      seen.push(...page.items.map(({ id }) => id));
      path = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual(ids.toReversed());
  });

  it.each(['limit=0', 'limit=-1', 'limit=x', 'cursor=nonsense'])('refuses ?%s', async (query) => {
    await using api = await startApi();
    expect((await api.request('GET', `/v1/builds?${query}`)).status).toBe(400);
  });
});

describe('the log of a build', () => {
  const threeLines = createScriptedPipeline(async (_job, run) => {
    for (const text of ['one', 'two', 'three']) run.print(text);
    return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
  });

  it('is streamed as events with ids, and ends with the state', async () => {
    await using api = await startApi({ pipeline: threeLines });
    const id = await acceptBuild(api);
    const headers = { accept: 'text/event-stream' };
    const response = await api.request('GET', `/v1/builds/${id}/logs`, { headers });
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    const events = await readEvents(response);
    const texts = events
      .slice(0, -1)
      .map(({ data }) => (JSON.parse(data) as { text: string }).text);
    expect(texts).toEqual(['one', 'two', 'three']);
    expect(events.at(-1)).toMatchObject({ event: 'end', data: '{"state":"SUCCEEDED"}' });

    const resume = { ...headers, 'last-event-id': events[0]?.id ?? '' };
    const resumed = await api.request('GET', `/v1/builds/${id}/logs`, { headers: resume });
    expect((await readEvents(resumed)).length).toBe(events.length - 1);
  });

  it('is the same as pages of JSON', async () => {
    await using api = await startApi({ pipeline: threeLines });
    const id = await acceptBuild(api);
    const page = await api.test.until(async () => {
      const response = await api.request('GET', `/v1/builds/${id}/logs?limit=2`);
      const body = (await response.json()) as { items: unknown[]; nextAfter: number };
      return body.items.length === 2 ? body : undefined;
    });
    const rest = await api.request('GET', `/v1/builds/${id}/logs?after=${page.nextAfter}`);
    expect(await rest.json()).toMatchObject({ items: [{ text: 'three' }] });
  });

  it('ends when the platform stops', async () => {
    const pipeline = createScriptedPipeline((_job, run) => untilCancelled(run));
    await using api = await startApi({ pipeline });
    const id = await acceptBuild(api);
    const headers = { accept: 'text/event-stream' };
    const response = await api.request('GET', `/v1/builds/${id}/logs`, { headers });
    const reading = readEvents(response);
    await api.test.platform.stop();
    await reading;
    expect((await fetch(`${api.url}/readyz`)).status).toBe(503);
  });
});

describe('routes', () => {
  it('that do not exist are 404 problems', async () => {
    await using api = await startApi();
    const response = await api.request('GET', '/v1/nothing');
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'not-found', instance: '/v1/nothing' });
  });

  it.each(['not-an-id', unknownId])('answer 404 for the build %s', async (id) => {
    await using api = await startApi();
    expect((await api.request('GET', `/v1/builds/${id}`)).status).toBe(404);
  });

  it('answer 405 with the methods that they take', async () => {
    await using api = await startApi();
    const response = await api.request('DELETE', '/v1/builds');
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD, POST');
  });

  it('are measured by route, without ids', async () => {
    await using api = await startApi();
    await api.request('GET', `/v1/builds/${unknownId}`);
    const metrics = await api.test.until(async () => {
      const text = await (await fetch(`${api.url}/metrics`)).text();
      return text.includes('status_code="404"') ? text : undefined;
    });
    expect(metrics).toContain('route="/v1/builds/:id",status_code="404"');
    expect(metrics).not.toContain(unknownId);
  });
});
