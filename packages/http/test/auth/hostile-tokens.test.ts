import { createPublicKey, randomUUID } from 'node:crypto';
import { createAuthenticator } from '@cygni/http';
import { exportSPKI, importJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../core/test/fixtures/call.ts';
import { bearer, startApi, type TestApi } from '../fixtures/start-api.ts';
import { type Claims, type JwksServer, startJwksServer } from '../fixtures/start-jwks-server.ts';

const issuer = 'https://login.test';
const audience = 'cygni';
const start = Date.UTC(2026, 5, 1) / 1000;

let jwks: JwksServer;
let api: TestApi;
/** Seconds since the epoch. */
let now = start;
beforeAll(async () => {
  jwks = await startJwksServer();
  const authenticator = createAuthenticator({
    issuers: [{ issuer, audience, algorithms: ['RS256'], jwks: { url: `${jwks.url}/jwks.json` } }],
    log: silentLog,
    now: () => new Date(now * 1000),
  });
  api = await startApi({ router: { authenticator } });
});
beforeEach(() => {
  now = start;
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await jwks[Symbol.asyncDispose]();
});

function claims(change: Claims = {}): Claims {
  const good = { iss: issuer, aud: audience, sub: 'ci', tenant: 'acme', scope: 'builds:read' };
  const all = { ...good, iat: start, exp: start + 600, ...change };
  return all;
}

async function answerTo(token: string): Promise<number> {
  const response = await api.request('GET', '/v1/builds', bearer(token));
  const { status } = response;
  if (status === 401) {
    expect(await response.json()).toMatchObject({ code: 'unauthenticated' });
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="cygni"');
  }
  return status;
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a token', () => {
  it('with the right claims, signed by a key of its issuer, is let in', async () => {
    expect(await answerTo(await jwks.sign(claims()))).toBe(200);
  });

  it.each(['none', 'None', 'NONE', ''])('of the algorithm "%s" is 401', async (alg) => {
    expect(await answerTo(`${part({ alg, typ: 'JWT' })}.${part(claims())}.`)).toBe(401);
  });

  it('signed with the issuer’s public key as an HMAC secret is 401', async () => {
    const jwk = jwks.publicKey();
    const key = await importJWK(jwk, 'RS256', { extractable: true });
    if (key instanceof Uint8Array) throw new TypeError('not a public key');
    const pem = await exportSPKI(key);
    const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
    for (const secret of [Buffer.from(pem), Buffer.from(pem.trim()), der]) {
      const forged = await new SignJWT(claims())
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: jwk.kid ?? '' })
        .sign(secret);
      expect(await answerTo(forged)).toBe(401);
    }
  });

  it.each<[string, Claims]>([
    ['no exp', { exp: undefined }],
    ['no iat', { iat: undefined }],
    ['no sub', { sub: undefined }],
    ['no aud', { aud: undefined }],
    ['another aud', { aud: 'cygni2' }],
    ['a list without our aud', { aud: ['a', 'b'] }],
    ['no iss', { iss: undefined }],
    ['another iss', { iss: 'https://login.test.evil' }],
    ['an iss with a slash more', { iss: `${issuer}/` }],
    ['an nbf in the future', { nbf: start + 60 }],
    ['an iat in the future', { iat: start + 60 }],
    ['an age of a year', { iat: start - 365 * 86_400 }],
    ['exp as text', { exp: String(start + 600) }],
    ['no tenant', { tenant: undefined }],
    ['a tenant that is a path', { tenant: '../other' }],
  ])('with %s is 401', async (_what, change) => {
    expect(await answerTo(await jwks.sign(claims(change)))).toBe(401);
  });

  it.each(['at+jwt', 'JWE', 'dpop+jwt', undefined])('of the type %s is 401', async (typ) => {
    expect(await answerTo(await jwks.sign(claims(), { typ }))).toBe(401);
  });

  it('that brings its own key, or says where it is, is 401, and nothing is fetched', async () => {
    await answerTo(await jwks.sign(claims()));
    const before = jwks.fetches();
    const attacker = await startJwksServer();
    try {
      const jwk = attacker.publicKey();
      const headers = [
        { jwk },
        { jku: `${attacker.url}/jwks.json` },
        { x5u: `${attacker.url}/cert.pem` },
        { x5c: ['MIIB'] },
        { kid: '../../etc/passwd' },
        { kid: `${attacker.url}/jwks.json` },
        { kid: "' OR 1=1 --" },
      ];
      for (const header of headers) {
        expect(await answerTo(await attacker.sign(claims(), header))).toBe(401);
      }
      expect(attacker.fetches()).toBe(0);
      expect(attacker.strayed).toEqual([]);
      expect(jwks.fetches()).toBe(before);
      expect(jwks.strayed).toEqual([]);
    } finally {
      await attacker[Symbol.asyncDispose]();
    }
  });

  it.each([
    ['five parts', `${part({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`],
    [
      'a huge p2c',
      `${part({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2c: 2 ** 31, p2s: 'AAAA' })}.a.b.c.d`,
    ],
    [
      'a huge p2c in three parts',
      `${part({ alg: 'PBES2-HS512+A256KW', p2c: 2 ** 31 })}.${part({})}.a`,
    ],
    ['a critical header', `${part({ alg: 'RS256', typ: 'JWT', crit: ['x'] })}.${part({})}.a`],
    ['no parts', 'nonsense'],
    ['empty parts', '..'],
    ['claims that are a list', `${part({ alg: 'RS256', typ: 'JWT' })}.${part([])}.a`],
  ])('with %s is 401', async (_what, token) => {
    expect(await answerTo(token)).toBe(401);
  });

  it('is good until five seconds after its exp, and no longer', async () => {
    const token = await jwks.sign(claims());
    now = start + 604;
    expect(await answerTo(token)).toBe(200);
    now = start + 605;
    expect(await answerTo(token)).toBe(401);
  });
});

describe('10,000 tokens with keys that nobody knows', () => {
  it('make the keys be fetched no more than once', async () => {
    const attacker = await startJwksServer();
    try {
      const own = createAuthenticator({
        issuers: [
          { issuer, audience, algorithms: ['RS256'], jwks: { url: `${jwks.url}/jwks.json` } },
        ],
        log: silentLog,
        now: () => new Date(now * 1000),
      });
      await own.verify(await jwks.sign(claims()));
      const before = jwks.fetches();
      const [, body, signature] = (await attacker.sign(claims())).split('.');
      const tokens = Array.from({ length: 10_000 }, () => {
        const header = part({ alg: 'RS256', typ: 'JWT', kid: randomUUID() });
        return `${header}.${body}.${signature}`;
      });
      const settled = await Promise.allSettled(tokens.map((token) => own.verify(token)));
      expect(settled.filter(({ status }) => status === 'fulfilled')).toEqual([]);
      expect(jwks.fetches()).toBe(before);
      for (const token of tokens.slice(0, 200)) expect(await answerTo(token)).toBe(401);
      expect(jwks.fetches() - before).toBeLessThanOrEqual(1);
    } finally {
      await attacker[Symbol.asyncDispose]();
    }
  });
});
