import { gzipSync } from 'node:zlib';
import { createMemoryStore, type Store } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../../core/test/fixtures/call.ts';
import { startApi, type TestApi } from './fixtures/start-api.ts';

async function post(api: TestApi, key: string, body: object, token?: string) {
  const headers = {
    'idempotency-key': key,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const response = await api.postJson('/v1/builds', body, headers);
  const { headers: answered, status } = response;
  return { status, headers: answered, body: (await response.json()) as Record<string, unknown> };
}

/** A store that keeps whoever asks for a build waiting until `release`. */
function createSlowStore() {
  const store = createMemoryStore();
  const asked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const acceptBuild: Store['acceptBuild'] = async (...parameters) => {
    asked.resolve();
    await released.promise;
    return store.acceptBuild(...parameters);
  };
  return { store: { ...store, acceptBuild }, asked: asked.promise, release: released.resolve };
}

describe('an Idempotency-Key', () => {
  it('gives the first answer again', async () => {
    await using api = await startApi();
    const body = { sourceId: await api.uploadSource(), repository: 'hello' };
    const first = await post(api, 'k-1', body);
    const again = await post(api, 'k-1', body);
    expect(again).toMatchObject({ status: 202, body: { id: first.body.id } });
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
  });

  it('is of the same request whatever the order of its fields, and over both forms of the path', async () => {
    await using api = await startApi();
    const sourceId = await api.uploadSource();
    const first = await post(api, 'k-1', { sourceId, repository: 'hello' });
    const headers = { 'idempotency-key': 'k-1' };
    const again = await api.postJson('/builds', { repository: 'hello', sourceId }, headers);
    expect(await again.json()).toMatchObject({ id: first.body.id });
  });

  it('with another body is 422', async () => {
    await using api = await startApi();
    const sourceId = await api.uploadSource();
    await post(api, 'k-1', { sourceId, repository: 'hello' });
    expect(await post(api, 'k-1', { sourceId, repository: 'other' })).toMatchObject({
      status: 422,
      body: { code: 'idempotency-mismatch' },
    });
  });

  it('is 409 while the first request is without an answer, and says when to come back', async () => {
    const slow = createSlowStore();
    await using api = await startApi({ store: slow.store });
    const body = { sourceId: await api.uploadSource(), repository: 'hello' };
    const first = post(api, 'k-1', body);
    await slow.asked;
    const meanwhile = await post(api, 'k-1', body);
    expect(meanwhile).toMatchObject({ status: 409, body: { code: 'conflict' } });
    expect(meanwhile.headers.get('retry-after')).toBe('1');
    slow.release();
    expect((await first).status).toBe(202);
    expect(await post(api, 'k-1', body)).toMatchObject({ status: 202 });
  });

  it('is free again after a request that was refused', async () => {
    await using api = await startApi();
    const sourceId = await api.uploadSource();
    expect((await post(api, 'k-1', { sourceId, repository: 'No!' })).status).toBe(400);
    const unknown = '00000000-0000-4000-8000-000000000000';
    expect((await post(api, 'k-1', { sourceId: unknown, repository: 'a' })).status).toBe(404);
    expect((await post(api, 'k-1', { sourceId, repository: 'yes' })).status).toBe(202);
  });

  it('of an upload is for the archive that came with it first, which is all that is kept', async () => {
    await using api = await startApi();
    const upload = async (content: string) => {
      const response = await api.request('POST', '/v1/sources', {
        headers: { 'content-type': 'application/gzip', 'idempotency-key': 'k-1' },
        body: gzipSync(content),
      });
      return { status: response.status, body: await response.json() };
    };
    const first = await upload('an archive');
    expect(first.status).toBe(201);
    expect(await upload('an archive')).toEqual(first);
    expect((await upload('another')).status).toBe(422);
    expect(await Array.fromAsync(api.test.artifacts.list('acme/', testCall()))).toHaveLength(1);
  });

  it('of one tenant is nothing to another', async () => {
    await using api = await startApi();
    const body = { sourceId: await api.uploadSource(), repository: 'hello' };
    await post(api, 'k-1', body);
    const other = await api.token({ tenantId: 'other' });
    expect(await post(api, 'k-1', body, other)).toMatchObject({
      status: 404,
      body: { code: 'not-found' },
    });
  });

  it.each([
    ['with a space', 'a b'],
    ['with SQL and a space', "'; DROP TABLE cygni.builds; --"],
    ['beyond ASCII', 'k\u00e9'],
    ['of 256 characters', 'x'.repeat(256)],
    ['of 10,000 characters', 'x'.repeat(10_000)],
    ['that is empty', ''],
  ])('%s is 400', async (_what, key) => {
    await using api = await startApi();
    const body = { sourceId: await api.uploadSource(), repository: 'hello' };
    expect((await post(api, key, body)).status).toBe(400);
  });

  it('may be any other text, which stays text', async () => {
    await using api = await startApi();
    const body = { sourceId: await api.uploadSource(), repository: 'hello' };
    for (const key of ["';DROP/**/TABLE/**/cygni.builds;--", '"quoted"', '__proto__', '$1', '{}']) {
      const first = await post(api, key, body);
      expect(first.status).toBe(202);
      expect((await post(api, key, body)).body.id).toBe(first.body.id);
    }
  });
});
