import { type CryptoKey, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { audience, bearer, issuer, startApi, type TestApi } from './fixtures/start-api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const claims = { tenant: 'acme', scope: 'builds:read' };

function signed(key: CryptoKey | Uint8Array, change: (jwt: SignJWT) => SignJWT, alg = 'ES256') {
  const jwt = new SignJWT(claims)
    .setProtectedHeader({ alg, typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('tester')
    .setIssuedAt()
    .setExpirationTime('10m');
  return change(jwt).sign(key);
}

async function statusWith(token: string): Promise<number> {
  return (await api.request('GET', '/v1/builds', bearer(token))).status;
}

describe('a request', () => {
  it('with a good token passes', async () => {
    expect(await statusWith(await api.token())).toBe(200);
  });

  it('without a token is 401, and told how to authenticate', async () => {
    const response = await fetch(`${api.url}/v1/builds`);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="cygni"');
  });

  it.each<[string, () => Promise<string>]>([
    ['signed by another key', () => signed(api.privateKey, (jwt) => jwt)],
    ['signed with HMAC', () => signed(new Uint8Array(32), (jwt) => jwt, 'HS256')],
    ['unsigned', async () => new UnsecuredJWT(claims).setExpirationTime('10m').encode()],
    ['that is expired', () => api.token({ expiresInSeconds: -60 })],
    ['cut in half', async () => (await api.token()).slice(0, 100)],
    ['of 100,000 characters', async () => 'a'.repeat(100_000).slice(0, 12_000)],
    ['with five parts', async () => 'a.b.c.d.e'],
    ['for a malformed tenant', () => api.token({ tenantId: '../other' })],
  ])('with a token %s is 401', async (_what, make) => {
    expect(await statusWith(await make())).toBe(401);
  });

  it('without the scope is 403', async () => {
    const token = await api.token({ scopes: ['deployments:read'] });
    const response = await api.request('GET', '/v1/builds', bearer(token));
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: 'forbidden' });
  });

  it('with a token for one image repository is 403: such a token is for the registry only', async () => {
    expect(await statusWith(await api.token({ repository: 'acme/hello' }))).toBe(403);
  });
});

describe('health and metrics', () => {
  it.each(['/healthz', '/readyz', '/metrics'])('%s needs no token', async (path) => {
    expect((await fetch(api.url + path)).status).toBe(200);
  });
});
