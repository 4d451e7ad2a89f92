import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer, startApi, type TestApi } from './fixtures/start-api.ts';

let api: TestApi;
let cursor: string;
beforeAll(async () => {
  api = await startApi();
  const sourceId = await api.uploadSource();
  for (const repository of ['one', 'two', 'three']) {
    await api.postJson('/v1/builds', { sourceId, repository });
  }
  const page = await api.request('GET', '/v1/builds?limit=1');
  cursor = ((await page.json()) as { nextCursor: string }).nextCursor;
});
afterAll(() => api[Symbol.asyncDispose]());

async function get(path: string, init: RequestInit = {}) {
  const response = await api.request('GET', path, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('a cursor', () => {
  it('goes on where its page ended', async () => {
    const { body } = await get(`/v1/builds?cursor=${cursor}`);
    expect(body.items).toMatchObject([{ repository: 'two' }, { repository: 'one' }]);
  });

  it('that was changed anywhere is 400', async () => {
    for (let at = 0; at < cursor.length; at += 1) {
      const changed = cursor[at] === 'A' ? 'B' : 'A';
      const tampered = cursor.slice(0, at) + changed + cursor.slice(at + 1);
      const { status, body } = await get(`/v1/builds?cursor=${tampered}`);
      expect(status, tampered).toBe(400);
      expect(body).toMatchObject({ errors: [{ pointer: '/cursor', code: 'invalid_cursor' }] });
    }
  });

  it.each(['', 'nonsense', '%00', 'a'.repeat(501), `${'A'.repeat(400)}`])(
    'that is %j is 400',
    async (text) => {
      expect((await get(`/v1/builds?cursor=${text}`)).status).toBe(400);
    },
  );

  it('of another list is 400', async () => {
    for (const list of ['deployments', 'services']) {
      expect((await get(`/v1/${list}?cursor=${cursor}`)).status).toBe(400);
    }
  });

  it('of another tenant is 400, and shows nothing', async () => {
    const other = bearer(await api.token({ tenantId: 'other' }));
    const { status, body } = await get(`/v1/builds?cursor=${cursor}`, other);
    expect(status).toBe(400);
    expect(JSON.stringify(body)).not.toContain('acme');
  });
});

describe('a limit', () => {
  it('that is too large is lowered', async () => {
    expect((await get('/v1/builds?limit=100000')).status).toBe(200);
  });
});
