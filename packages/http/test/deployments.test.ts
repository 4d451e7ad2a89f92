import { describe, expect, it } from 'vitest';
import { knownDigest, sickDigest } from '../../core/test/fixtures/scripted-registry.ts';
import { startApi, type TestApi } from './fixtures/start-api.ts';

async function deploy(api: TestApi, digest: string, more: object = {}): Promise<Response> {
  return api.postJson('/v1/deployments', {
    service: 'hello',
    image: { repository: 'hello', digest },
    rollout: { bakeSeconds: 0 },
    ...more,
  });
}

async function ended(api: TestApi, accepted: Response): Promise<Record<string, unknown>> {
  const location = accepted.headers.get('location') ?? '';
  return api.test.until(async () => {
    const response = await api.request('GET', location);
    const body = (await response.json()) as Record<string, unknown>;
    return body.finishedAt === null ? undefined : body;
  });
}

describe('POST /v1/deployments', () => {
  it('answers 202, and the service then answers with its address', async () => {
    await using api = await startApi();
    const accepted = await deploy(api, knownDigest);
    expect(accepted.status).toBe(202);
    expect(await ended(api, accepted)).toMatchObject({ state: 'SUCCEEDED' });
    const service = await api.request('GET', '/v1/services/hello');
    expect(await service.json()).toMatchObject({ stableRevision: 1, url: 'http://hello.test' });
  });

  it('tells of a rollback as a state of its own, with the evidence', async () => {
    await using api = await startApi();
    await ended(api, await deploy(api, knownDigest));
    expect(await ended(api, await deploy(api, sickDigest))).toMatchObject({
      state: 'ROLLED_BACK',
      evidence: { rule: 'health_check_failed', rolledBackTo: 1 },
      conditions: [{ type: 'Succeeded', status: 'False', reason: 'health_check_failed' }],
    });
  });

  it.each<[string, object]>([
    ['/environment/PORT', { environment: { PORT: '1' } }],
    ['/buildId', { buildId: '00000000-0000-4000-8000-000000000000' }],
    ['/service', { service: 'Hello!' }],
    ['/healthCheck/path', { healthCheck: { path: 'no-slash' } }],
  ])('refuses a bad %s by name', async (pointer, more) => {
    await using api = await startApi();
    const response = await deploy(api, knownDigest, more);
    expect(response.status).toBe(400);
    const { errors } = (await response.json()) as { errors: { pointer: string }[] };
    expect(errors.map((error) => error.pointer)).toContain(pointer);
  });
});

describe('POST /v1/services/{name}:rollback', () => {
  it('returns to the revision before', async () => {
    await using api = await startApi();
    await ended(api, await deploy(api, knownDigest));
    await ended(api, await deploy(api, knownDigest));
    const accepted = await api.postJson('/v1/services/hello:rollback', {
      rollout: { bakeSeconds: 0 },
    });
    expect(accepted.status).toBe(202);
    expect(await ended(api, accepted)).toMatchObject({ kind: 'rollback', revision: 1 });
  });

  it('of an unknown service is 404', async () => {
    await using api = await startApi();
    expect((await api.postJson('/v1/services/nobody:rollback', {})).status).toBe(404);
  });
});

describe('/v1/budgets/current', () => {
  it('shows the account and takes a new cap', async () => {
    await using api = await startApi();
    const response = await api.request('PUT', '/v1/budgets/current', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ limit: 123 }),
    });
    expect(response.status).toBe(200);
    const account = await api.request('GET', '/v1/budgets/current');
    expect(await account.json()).toMatchObject({ limit: 123, spent: 0, reserved: 0 });
  });
});
