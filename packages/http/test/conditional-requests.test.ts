import { describe, expect, it } from 'vitest';
import { knownDigest } from '../../core/test/fixtures/scripted-registry.ts';
import { startApi, type TestApi } from './fixtures/start-api.ts';

const path = '/v1/budgets/current';

async function etagOf(api: TestApi, of = path): Promise<string> {
  const etag = (await api.request('GET', of)).headers.get('etag');
  if (etag === null) throw new Error('no entity tag');
  return etag;
}

function setBudget(api: TestApi, limit: number, condition?: string): Promise<Response> {
  const headers = {
    'content-type': 'application/json',
    ...(condition === undefined ? {} : { 'if-match': condition }),
  };
  return api.request('PUT', path, { headers, body: JSON.stringify({ limit }) });
}

describe('If-Match', () => {
  it('lets a change through while the resource has the tag, and answers with the next one', async () => {
    await using api = await startApi();
    const first = await etagOf(api);
    const changed = await setBudget(api, 500, first);
    expect(changed.status).toBe(200);
    const second = changed.headers.get('etag');
    expect(second).not.toBe(first);
    expect(second).toBe(await etagOf(api));
    expect((await setBudget(api, 600, `"other", ${second}`)).status).toBe(200);
  });

  it.each([
    [
      'an outdated tag',
      async (api: TestApi) => {
        const tag = await etagOf(api);
        await setBudget(api, 500);
        return tag;
      },
    ],
    ['a weak tag, which never matches', async (api: TestApi) => `W/${await etagOf(api)}`],
    ['no tag at all', async () => 'nonsense'],
  ])('with %s is 412 and changes nothing', async (_what, make) => {
    await using api = await startApi();
    const condition = await make(api);
    const before = await (await api.request('GET', path)).json();
    const response = await setBudget(api, 700, condition);
    expect(response.status).toBe(412);
    expect(await response.json()).toMatchObject({ code: 'precondition-failed' });
    expect(await (await api.request('GET', path)).json()).toEqual(before);
  });

  it('lets exactly one of several at the same time through', async () => {
    await using api = await startApi();
    const tag = await etagOf(api);
    const limits = Array.from({ length: 10 }, (_, index) => index + 1);
    const answers = await Promise.all(limits.map((limit) => setBudget(api, limit, tag)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 9 }, () => 412)]);
  });

  it('of * is any state', async () => {
    await using api = await startApi();
    expect((await setBudget(api, 500, '*')).status).toBe(200);
  });

  it('guards a rollback by the state of its service', async () => {
    await using api = await startApi();
    const deploy = async () => {
      const id = await api.test.deploy('acme', knownDigest);
      await api.test.until(async () => {
        const response = await api.request('GET', `/v1/deployments/${id}`);
        const { state } = (await response.json()) as { state: string };
        return state === 'SUCCEEDED' || undefined;
      });
    };
    const rollBack = (condition: string) =>
      api.postJson('/v1/services/hello:rollback', {}, { 'if-match': condition });
    await deploy();
    await deploy();
    const tag = await etagOf(api, '/v1/services/hello');
    await deploy();
    expect((await rollBack(tag)).status).toBe(412);
    expect((await rollBack(await etagOf(api, '/v1/services/hello'))).status).toBe(202);
  });
});

describe('If-None-Match', () => {
  it('is 304 while nothing has changed', async () => {
    await using api = await startApi();
    // Without the second, fetch asks for an answer that is not from a cache.
    const headers = { 'if-none-match': await etagOf(api), 'cache-control': 'max-age=0' };
    expect((await api.request('GET', path, { headers })).status).toBe(304);
    await setBudget(api, 500);
    expect((await api.request('GET', path, { headers })).status).toBe(200);
  });
});
