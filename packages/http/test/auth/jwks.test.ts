import { createAuthenticator, type JwksOptions } from '@cygni/http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../../core/test/fixtures/call.ts';
import { bearer, startApi } from '../fixtures/start-api.ts';
import { type JwksServer, startJwksServer } from '../fixtures/start-jwks-server.ts';

const issuer = 'https://login.test';
const audience = 'cygni';

let jwks: JwksServer;
beforeEach(async () => {
  // The clock only: sockets and timers are real.
  vi.useFakeTimers({ toFake: ['Date'] });
  jwks = await startJwksServer();
});
afterEach(async () => {
  vi.useRealTimers();
  await jwks[Symbol.asyncDispose]();
});

async function start(options: Partial<JwksOptions> = {}) {
  const authenticator = createAuthenticator({
    issuers: [
      {
        issuer,
        audience,
        algorithms: ['RS256'],
        jwks: { url: `${jwks.url}/jwks.json`, cooldownSeconds: 30, ...options },
      },
    ],
    log: silentLog,
  });
  const api = await startApi({ router: { authenticator } });
  return {
    statusOf: async (token: string) =>
      (await api.request('GET', '/v1/builds', bearer(token))).status,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

function token(): Promise<string> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: audience, sub: 'ci', tenant: 'acme', scope: 'builds:read' };
  return jwks.sign({ ...claims, iat, exp: iat + 3_600 });
}

const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);

describe('the keys of an issuer', () => {
  it('are fetched once for any number of tokens', async () => {
    await using api = await start();
    const good = await token();
    await Promise.all(Array.from({ length: 20 }, () => api.statusOf(good)));
    expect(jwks.fetches()).toBe(1);
  });

  it('are fetched again for a new key, once the cooldown is over', async () => {
    await using api = await start();
    expect(await api.statusOf(await token())).toBe(200);
    await jwks.rotate();
    expect(await api.statusOf(await token())).toBe(401);
    expect(jwks.fetches()).toBe(1);
    pass(31);
    expect(await api.statusOf(await token())).toBe(200);
    expect(jwks.fetches()).toBe(2);
  });

  it('that are known stay good while the issuer is down', async () => {
    await using api = await start();
    const good = await token();
    expect(await api.statusOf(good)).toBe(200);
    jwks.answer(503);
    pass(1_000);
    expect(await api.statusOf(good)).toBe(200);
    await vi.waitFor(() => expect(jwks.fetches()).toBe(2));
  });

  it('that the issuer took away are good no longer, once they were fetched again', async () => {
    await using api = await start();
    const old = await token();
    expect(await api.statusOf(old)).toBe(200);
    await jwks.rotate();
    pass(1_000);
    await vi.waitFor(async () => expect(await api.statusOf(old)).toBe(401));
  });

  it('that cannot be fetched are asked for once per cooldown, and the token is 401', async () => {
    await using api = await start();
    jwks.answer(500);
    const good = await token();
    for (let count = 0; count < 5; count += 1) expect(await api.statusOf(good)).toBe(401);
    expect(jwks.fetches()).toBe(1);
    jwks.answer(200);
    pass(31);
    expect(await api.statusOf(good)).toBe(200);
  });

  it('are not followed to where a redirect points', async () => {
    await using api = await start({ url: `${jwks.url}/jwks.json` });
    jwks.answer(302);
    expect(await api.statusOf(await token())).toBe(401);
    expect(jwks.strayed).toEqual([]);
  });
});

describe('the configuration of issuers', () => {
  const good = {
    issuer,
    audience,
    algorithms: ['RS256' as const],
    jwks: { url: 'https://a.test' },
  };

  it.each<[string, object]>([
    ['no audience', { audience: '' }],
    ['a symmetric algorithm', { algorithms: ['HS256'] }],
    ['no algorithm', { algorithms: [] }],
    ['the algorithm none', { algorithms: ['none'] }],
    ['keys by plain HTTP from another machine', { jwks: { url: 'http://login.test/jwks.json' } }],
    ['keys from a file', { jwks: { url: 'file:///etc/passwd' } }],
    ['neither key nor jwks', { jwks: undefined }],
    [
      'a grant for whoever comes',
      { grants: [{ match: {}, tenantId: 'a', scopes: ['builds:read'] }] },
    ],
    ['an unknown field', { audiences: ['a'] }],
  ])('is refused with %s', (_what, change) => {
    const make = () => createAuthenticator({ issuers: [{ ...good, ...change }], log: silentLog });
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_configuration' }));
  });

  it('is refused with one issuer twice', () => {
    const make = () => createAuthenticator({ issuers: [good, good], log: silentLog });
    expect(make).toThrow(/twice/);
  });
});
