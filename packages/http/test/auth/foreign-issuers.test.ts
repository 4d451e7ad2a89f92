import { createAuthenticator } from '@cygni/http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/test/fixtures/call.ts';
import { bearer, startApi, type TestApi } from '../fixtures/start-api.ts';
import { type Claims, type JwksServer, startJwksServer } from '../fixtures/start-jwks-server.ts';

const github = 'https://token.actions.githubusercontent.com';
const kubernetes = 'https://kubernetes.default.svc.cluster.local';
const audience = 'https://cygni.internal';
const serviceAccountUid = '0f8a9a1e-53d4-4b43-9b49-3d2f4f1c5c11';

let githubKeys: JwksServer;
let clusterKeys: JwksServer;
let api: TestApi;
beforeAll(async () => {
  githubKeys = await startJwksServer();
  clusterKeys = await startJwksServer();
  const authenticator = createAuthenticator({
    issuers: [
      {
        issuer: github,
        audience,
        algorithms: ['RS256'],
        jwks: { url: `${githubKeys.url}/jwks.json` },
        maximumAgeSeconds: 900,
        grants: [
          {
            match: { repository_id: '74', repository_owner_id: '65', ref: 'refs/heads/main' },
            tenantId: 'acme',
            scopes: ['builds:read', 'builds:write'],
          },
          {
            match: { repository_id: '74', repository_owner_id: '65' },
            tenantId: 'acme',
            scopes: ['builds:read'],
          },
        ],
      },
      {
        issuer: kubernetes,
        audience,
        algorithms: ['RS256'],
        typ: null,
        jwks: { url: `${clusterKeys.url}/jwks.json` },
        grants: [
          {
            match: {
              sub: 'system:serviceaccount:ci:deployer',
              'kubernetes.io': { namespace: 'ci', serviceaccount: { uid: serviceAccountUid } },
            },
            tenantId: 'platform',
            scopes: ['builds:read', 'deployments:read'],
          },
        ],
      },
    ],
    log: silentLog,
  });
  api = await startApi({ router: { authenticator } });
});
afterAll(async () => {
  for (const each of [api, githubKeys, clusterKeys]) await each[Symbol.asyncDispose]();
});

const dates = () => {
  const iat = Math.floor(Date.now() / 1000);
  return { iat, nbf: iat - 1, exp: iat + 600 };
};

/** The claims that GitHub puts into its tokens, as its documentation shows them. */
const githubToken = (change: Claims = {}) =>
  githubKeys.sign({
    ...dates(),
    iss: github,
    aud: audience,
    sub: 'repo:acme/site:ref:refs/heads/main',
    repository: 'acme/site',
    repository_id: '74',
    repository_owner: 'acme',
    repository_owner_id: '65',
    ref: 'refs/heads/main',
    ...change,
  });

const kubernetesToken = (change: Claims = {}, header: object = { typ: undefined }) =>
  clusterKeys.sign(
    {
      ...dates(),
      iss: kubernetes,
      aud: [audience],
      sub: 'system:serviceaccount:ci:deployer',
      'kubernetes.io': {
        namespace: 'ci',
        pod: { name: 'runner-1', uid: 'b1f0' },
        serviceaccount: { name: 'deployer', uid: serviceAccountUid },
      },
      ...change,
    },
    { ...header },
  );

async function statusOf(token: string, path = '/v1/builds'): Promise<number> {
  return (await api.request('GET', path, bearer(token))).status;
}

describe('a GitHub Actions token', () => {
  it('opens the tenant of its repository, with the scopes of the first grant that matches', async () => {
    const source = { headers: { 'content-type': 'application/gzip' }, body: 'x' };
    const post = async (token: string) => {
      const { headers } = bearer(token);
      const all = { ...source, headers: { ...source.headers, ...headers } };
      return (await api.request('POST', '/v1/sources', all)).status;
    };
    expect(await statusOf(await githubToken())).toBe(200);
    expect(await post(await githubToken())).toBe(400);
    const branch = await githubToken({ ref: 'refs/heads/other' });
    expect(await statusOf(branch)).toBe(200);
    expect(await post(branch)).toBe(403);
  });

  it.each<[string, Claims]>([
    ['another repository of the same name', { repository_id: '75' }],
    ['another owner of the same name', { repository_owner_id: '66' }],
    ['ids that are numbers and not the text that GitHub sends', { repository_id: 74 }],
    ['a repository whose id begins alike', { repository_id: '740' }],
    ['no ids', { repository_id: undefined, repository_owner_id: undefined }],
    ['another audience', { aud: 'https://github.com/acme' }],
    ['an audience that begins alike', { aud: `${audience}.evil` }],
    ['claims that name a tenant', { repository_id: '1', tenant: 'acme', scope: 'builds:read' }],
  ])('of %s is 401', async (_what, change) => {
    expect(await statusOf(await githubToken(change))).toBe(401);
  });

  it('signed by another issuer that we trust is 401', async () => {
    const claims = { ...dates(), iss: github, aud: audience, sub: 'x' };
    const ids = { repository_id: '74', repository_owner_id: '65' };
    expect(await statusOf(await clusterKeys.sign({ ...claims, ...ids }))).toBe(401);
  });
});

describe('a Kubernetes ServiceAccount token', () => {
  it('opens what its ServiceAccount was granted', async () => {
    expect(await statusOf(await kubernetesToken())).toBe(200);
    expect(await statusOf(await kubernetesToken(), '/v1/budgets/current')).toBe(403);
  });

  it('has no typ: one with it is 401', async () => {
    expect(await statusOf(await kubernetesToken({}, { typ: 'JWT' }))).toBe(401);
  });

  it.each<[string, Claims]>([
    ['of another account', { sub: 'system:serviceaccount:ci:default' }],
    [
      'of an account that was made anew under the name',
      { 'kubernetes.io': { namespace: 'ci', serviceaccount: { uid: 'x' } } },
    ],
    ['without its object', { 'kubernetes.io': undefined }],
    ['whose object is text', { 'kubernetes.io': 'ci' }],
    ['for the API server', { aud: ['https://kubernetes.default.svc'] }],
  ])('%s is 401', async (_what, change) => {
    expect(await statusOf(await kubernetesToken(change))).toBe(401);
  });
});
