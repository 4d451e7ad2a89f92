import { createGitFetcher } from '@cygni/sources-git';
import { describe, expect, it } from 'vitest';
import { testCall } from '../../core/test/fixtures/call.ts';
import { type GitServer, startGitServer } from '../../sources-git/test/support/git-server.ts';
import { startApi, type TestApi } from './fixtures/start-api.ts';

function start({ directory, caFile }: GitServer): Promise<TestApi> {
  const sourceFetcher = createGitFetcher({
    ...{ directory, caFile, allowedHosts: ['git.internal'] },
    lookup: async () => [{ address: '127.0.0.1' }],
  });
  return startApi({ sourceFetcher });
}

describe('POST /v1/sources:fetch', () => {
  it('answers with the commit that was read, of which a build can be made', async () => {
    await using server = await startGitServer();
    await using api = await start(server);
    const commit = await server.commit('site', { Dockerfile: 'FROM scratch\n' });
    const git = { url: server.url('site'), ref: 'main' };
    const response = await api.postJson('/v1/sources:fetch', { git });
    expect(response.status).toBe(201);
    const source = (await response.json()) as { id: string; key: string; sizeBytes: number };
    expect(source).toMatchObject({ tenantId: 'acme', git: { ...git, commit } });
    const found = await api.request('GET', response.headers.get('location') ?? '');
    expect(await found.json()).toEqual(source);
    const kept = await api.test.artifacts.get(source.key, testCall());
    const bytes = Buffer.concat(await Array.fromAsync(kept));
    expect(bytes.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
    expect(bytes.byteLength).toBe(source.sizeBytes);
    const build = await api.postJson('/v1/builds', { sourceId: source.id, repository: 'site' });
    expect(build.status).toBe(202);
  });

  it.each<[string, unknown]>([
    ['/git/url', { git: { url: 'file:///etc' } }],
    ['/git/url', { git: { url: 'ext::sh -c id' } }],
    ['/git/ref', { git: { url: 'https://git.internal/x', ref: '--upload-pack=id' } }],
    ['/git/ref', { git: { url: 'https://git.internal/x', ref: ['--upload-pack=id'] } }],
    ['/git/depth', { git: { url: 'https://git.internal/x', depth: 1 } }],
    ['/git', {}],
  ])('refuses a bad %s by name', async (pointer, body) => {
    await using server = await startGitServer();
    await using api = await start(server);
    const response = await api.postJson('/v1/sources:fetch', body);
    expect(response.status).toBe(400);
    const { errors } = (await response.json()) as { errors: { pointer: string }[] };
    expect(errors.map((error) => error.pointer)).toEqual([pointer]);
    expect(server.requests).toEqual([]);
  });

  it('keeps nothing of a repository that cannot be read', async () => {
    await using server = await startGitServer();
    await using api = await start(server);
    await server.commit('site', { file: 'x' });
    const git = { url: server.url('site'), ref: 'nowhere' };
    expect((await api.postJson('/v1/sources:fetch', { git })).status).toBe(400);
    expect(await Array.fromAsync(api.test.artifacts.list('acme/', testCall()))).toEqual([]);
  });

  it('under an Idempotency-Key makes one source, of what was read first', async () => {
    await using server = await startGitServer();
    await using api = await start(server);
    await server.commit('site', { file: 'x' });
    const git = { url: server.url('site'), ref: 'main' };
    const fetched = async (body: object) =>
      api.postJson('/v1/sources:fetch', body, { 'idempotency-key': 'k-1' });
    const first = await (await fetched({ git })).json();
    await server.commit('site', { file: 'y' });
    const again = await fetched({ git });
    expect(again.status).toBe(201);
    expect(await again.json()).toEqual(first);
    expect((await fetched({ git: { ...git, ref: null } })).status).toBe(422);
    expect(await Array.fromAsync(api.test.artifacts.list('acme/', testCall()))).toHaveLength(1);
  });

  it('is not there on a server that reads none', async () => {
    await using api = await startApi();
    const git = { url: 'https://git.internal/x' };
    expect((await api.postJson('/v1/sources:fetch', { git })).status).toBe(501);
  });
});
