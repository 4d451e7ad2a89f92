import type { Logger } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../core/test/fixtures/call.ts';
import { bearer, startApi } from './fixtures/start-api.ts';

const minute = { windowSeconds: 60 };

describe('rate limits', () => {
  it('tell what they are and how much is left', async () => {
    await using api = await startApi({
      router: { rateLimits: { ...minute, perTenant: 10, perToken: 5 } },
    });
    const { headers } = await api.request('GET', '/v1/builds', bearer(await api.token()));
    expect(headers.get('ratelimit-policy')).toMatch(/"token"; q=5; w=60.*"tenant"; q=10; w=60/);
    expect(headers.get('ratelimit')).toMatch(/"token"; r=4; t=\d+.*"tenant"; r=9; t=\d+/);
  });

  it('refuse a token that asks too often, and no other', async () => {
    await using api = await startApi({
      router: { rateLimits: { ...minute, perTenant: 100, perToken: 2 } },
    });
    const one = bearer(await api.token({ subject: 'one' }));
    const two = bearer(await api.token({ subject: 'two' }));
    const ask = async (as: RequestInit) => api.request('GET', '/v1/builds', as);
    expect([(await ask(one)).status, (await ask(one)).status]).toEqual([200, 200]);
    const refused = await ask(one);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ code: 'rate-limited', status: 429 });
    expect((await ask(two)).status).toBe(200);
  });

  it('count all tokens of a tenant together, and those of others apart', async () => {
    await using api = await startApi({
      router: { rateLimits: { ...minute, perTenant: 2, perToken: 100 } },
    });
    const ask = async (subject: string, tenantId = 'acme') =>
      (await api.request('GET', '/v1/builds', bearer(await api.token({ subject, tenantId }))))
        .status;
    expect([await ask('one'), await ask('two'), await ask('three')]).toEqual([200, 200, 429]);
    expect(await ask('one', 'other')).toBe(200);
  });

  it('do not stand in the way when nobody can count, and warn of it', async () => {
    const warnings: string[] = [];
    const log: Logger = { ...silentLog, warn: (_fields, message) => warnings.push(message ?? '') };
    const failing = () => ({
      increment: () => Promise.reject(new Error('out of reach')),
      decrement() {},
      resetKey() {},
    });
    await using api = await startApi({
      log,
      router: { rateLimits: { ...minute, perTenant: 1, perToken: 1, createStore: failing } },
    });
    for (let count = 0; count < 3; count += 1) {
      expect((await api.request('GET', '/v1/builds')).status).toBe(200);
    }
    expect(warnings.some((warning) => /rate-limiting|rate limits/.test(warning))).toBe(true);
  });
});
