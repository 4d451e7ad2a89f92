import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createScriptedPipeline } from '../../core/test/fixtures/scripted-pipeline.ts';
import { knownDigest } from '../../core/test/fixtures/scripted-registry.ts';
import { startApi, type TestApi } from './fixtures/start-api.ts';

const origin = 'https://console.example.com';

/** Without what `fetch` adds and takes away. */
async function getRaw(api: TestApi, path: string, headers: Record<string, string>) {
  const authorization = `Bearer ${await api.token()}`;
  const { promise, resolve, reject } = Promise.withResolvers<NodeJS.Dict<string | string[]>>();
  request(api.url + path, { headers: { ...headers, authorization } }, (response) => {
    response.resume().once('end', () => resolve(response.headers));
  })
    .once('error', reject)
    .end();
  return promise;
}

describe('every answer', () => {
  it.each(['/v1/builds', '/v1/nothing', '/healthz', '/openapi.json'])(
    'of %s forbids what an answer of an API has no use for',
    async (path) => {
      await using api = await startApi();
      const { headers } = await api.request('GET', path);
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none';frame-ancestors 'none'",
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('private, no-cache');
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    },
  );
});

describe('compression', () => {
  it('makes long answers short', async () => {
    await using api = await startApi();
    const headers = await getRaw(api, '/openapi.json', { 'accept-encoding': 'gzip' });
    expect(headers['content-encoding']).toBe('gzip');
  });

  it('leaves event streams alone', async () => {
    const pipeline = createScriptedPipeline(async (_job, run) => {
      for (let count = 0; count < 100; count += 1) run.print('a line that is well compressible');
      return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
    });
    await using api = await startApi({ pipeline });
    const id = await api.test.build('acme');
    const accepted = { 'accept-encoding': 'gzip', accept: 'text/event-stream' };
    const headers = await getRaw(api, `/v1/builds/${id}/logs`, accepted);
    expect(headers['content-type']).toContain('text/event-stream');
    expect(headers['content-encoding']).toBe(undefined);
  });
});

describe('CORS', () => {
  const preflight = { origin, 'access-control-request-method': 'POST' };

  it('is off unless an origin is named', async () => {
    await using api = await startApi();
    const response = await fetch(`${api.url}/v1/builds`, { method: 'OPTIONS', headers: preflight });
    expect(response.status).toBe(401);
    const allowed = [...response.headers.keys()].filter((name) => name.startsWith('access-'));
    expect(allowed).toEqual([]);
  });

  it('lets pages of a named origin in, without a token for the preflight, and no others', async () => {
    await using api = await startApi({ router: { corsOrigins: [origin] } });
    const ask = (from: string) =>
      fetch(`${api.url}/v1/builds`, { method: 'OPTIONS', headers: { ...preflight, origin: from } });
    expect((await ask(origin)).headers.get('access-control-allow-origin')).toBe(origin);
    const other = await ask('https://evil.example');
    expect(other.headers.get('access-control-allow-origin')).toBe(null);
    const read = await api.request('GET', '/v1/builds', { headers: { origin } });
    expect(read.headers.get('access-control-expose-headers')).toContain('ETag');
  });
});

describe('mounted under a path', () => {
  it('the API answers and links below it', async () => {
    await using api = await startApi({ mount: '/platform/ci' });
    const upload = await api.request('POST', '/platform/ci/v1/sources', {
      headers: { 'content-type': 'application/gzip' },
      body: new Uint8Array([0x1f, 0x8b, 0x08]),
    });
    const location = upload.headers.get('location') ?? '';
    expect(location).toMatch(/^\/platform\/ci\/v1\/sources\//);
    expect((await api.request('GET', location)).status).toBe(200);
    expect((await api.request('GET', '/v1/builds')).status).toBe(404);
  });
});
