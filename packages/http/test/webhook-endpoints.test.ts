import { randomBytes } from 'node:crypto';
import { createWebhookNotifier } from '@cygni/notifier-webhook';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { startReceiver } from '../../notifier-webhook/test/support/receiver.ts';
import { startApi, type TestApi } from './fixtures/start-api.ts';

interface Endpoint {
  readonly id: string;
  readonly secret: string;
}

const notifiers = () => [
  createWebhookNotifier({
    ...{ keys: [{ id: 'k1', key: randomBytes(32) }], allowedHosts: ['hook.internal'] },
    lookup: async () => [{ address: '127.0.0.1' }],
  }),
];
const start = () => startApi({ notifiers: notifiers() });
const path = '/v1/webhook-endpoints';

async function create(api: TestApi, body: object = {}): Promise<Endpoint> {
  const response = await api.postJson(path, { url: 'https://hook.internal/', ...body });
  expect(response.status).toBe(201);
  return (await response.json()) as Endpoint;
}

function change(api: TestApi, id: string, body: object, headers: Record<string, string> = {}) {
  return api.request('PATCH', `${path}/${id}`, {
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

describe('POST /v1/webhook-endpoints', () => {
  it('answers with the secret, which is shown this once', async () => {
    await using api = await start();
    const body = { url: 'https://hook.internal/in', eventTypes: ['build.finished'] };
    const response = await api.postJson(path, body);
    expect(response.status).toBe(201);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const made = (await response.json()) as Endpoint;
    expect(made).toMatchObject({ ...body, tenantId: 'acme', disabled: false, description: null });
    expect(made.secret).toMatch(/^whsec_/);
    expect(response.headers.get('location')).toBe(`${path}/${made.id}`);
    const { secret, ...shown } = made;
    const one = await api.request('GET', `${path}/${made.id}`);
    expect(await one.json()).toEqual(shown);
    const list = await api.request('GET', path);
    expect(await list.json()).toEqual({ items: [shown], nextCursor: null });
  });

  it('under an Idempotency-Key makes one endpoint, and tells its secret again, which is stored nowhere', async () => {
    await using api = await start();
    const body = { url: 'https://hook.internal/in' };
    const post = (changes: object = {}) =>
      api.postJson(path, { ...body, ...changes }, { 'idempotency-key': 'k-1' });
    const first = await post();
    const again = await post();
    expect(again.status).toBe(201);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    const made = (await first.json()) as Endpoint;
    expect(await again.json()).toEqual(made);
    expect((await post({ description: 'another' })).status).toBe(422);
    const list = await api.request('GET', path);
    expect(((await list.json()) as { items: unknown[] }).items).toHaveLength(1);
  });

  it.each([
    ['/url', { url: 'http://public.test/' }],
    ['/url', { url: 'https://169.254.169.254/' }],
    ['/url', { url: 'javascript:alert(1)' }],
    ['/url', { url: 'https://hook.internal/\u0001' }],
    ['/url', { url: undefined }],
    ['/description', { description: 'a\u0001b' }],
    ['/eventTypes/0', { eventTypes: ['nothing.known'] }],
    ['/eventTypes', { eventTypes: ['build.started', 'build.started'] }],
    ['/tenantId', { tenantId: 'other' }],
    ['/secrets', { secrets: [] }],
  ])('refuses a bad %s by name', async (pointer, changes) => {
    await using api = await start();
    const response = await api.postJson(path, { url: 'https://hook.internal/', ...changes });
    expect(response.status).toBe(400);
    const { errors } = (await response.json()) as { errors: { pointer: string }[] };
    expect(errors.map((error) => error.pointer)).toEqual([pointer]);
  });

  it('has room for twenty', async () => {
    await using api = await start();
    for (let count = 0; count < 20; count += 1) await create(api);
    const response = await api.postJson(path, { url: 'https://hook.internal/' });
    expect(response.status).toBe(409);
  });

  it('is not there on a server that sends no webhooks', async () => {
    await using api = await startApi();
    expect((await api.postJson(path, { url: 'https://hook.internal/' })).status).toBe(501);
  });
});

describe('/v1/webhook-endpoints/{id}', () => {
  it('changes what is given, where If-Match is the state that was read', async () => {
    await using api = await start();
    const { id } = await create(api, { description: 'mine' });
    const tag = (await api.request('GET', `${path}/${id}`)).headers.get('etag') ?? '';
    const changed = await change(api, id, { disabled: true }, { 'if-match': tag });
    expect(changed.status).toBe(200);
    expect(await changed.json()).toMatchObject({
      ...{ description: 'mine', disabled: true, disabledReason: 'by its owner' },
    });
    const late = await change(api, id, { disabled: false }, { 'if-match': tag });
    expect(late.status).toBe(412);
    expect(await late.json()).toMatchObject({ code: 'precondition-failed' });
    const nonsense = await change(api, id, { disabled: false }, { 'if-match': 'W/"x"' });
    expect(nonsense.status).toBe(412);
    const next = changed.headers.get('etag') ?? '';
    expect((await change(api, id, { disabled: false }, { 'if-match': next })).status).toBe(200);
    expect((await change(api, id, { description: null })).status).toBe(200);
    expect((await change(api, id, { url: 'https://127.0.0.1/' })).status).toBe(400);
  });

  it('is deleted, unless it was changed', async () => {
    await using api = await start();
    const { id } = await create(api);
    const remove = (headers: Record<string, string> = {}) =>
      api.request('DELETE', `${path}/${id}`, { headers });
    expect((await remove({ 'if-match': '"7"' })).status).toBe(412);
    const tag = (await api.request('GET', `${path}/${id}`)).headers.get('etag') ?? '';
    expect((await remove({ 'if-match': tag })).status).toBe(200);
    expect((await remove()).status).toBe(404);
    expect((await api.request('GET', `${path}/${id}`)).status).toBe(404);
  });

  it('belongs to its tenant, and needs its scope', async () => {
    await using api = await start();
    const { id } = await create(api);
    const deliveries = await api.request('GET', `${path}/${id}/deliveries`);
    const [delivery] = ((await deliveries.json()) as { items: Endpoint[] }).items;
    const routes = [
      ...[`GET ${path}/${id}`, `PATCH ${path}/${id}`, `DELETE ${path}/${id}`],
      ...[`POST ${path}/${id}:rotate-secret`, `GET ${path}/${id}/deliveries`],
      `GET ${path}/${id}/deliveries/${delivery?.id}`,
      `POST ${path}/${id}/deliveries/${delivery?.id}:redeliver`,
    ];
    const ask = async (route: string, grant: object) => {
      const [method = '', target = ''] = route.split(' ');
      const response = await api.request(method, target, {
        headers: {
          authorization: `Bearer ${await api.token(grant)}`,
          ...(method === 'POST' || method === 'PATCH'
            ? { 'content-type': 'application/json' }
            : {}),
        },
        ...(method === 'POST' || method === 'PATCH' ? { body: '{}' } : {}),
      });
      return response.status;
    };
    for (const route of routes) {
      expect([route, await ask(route, { tenantId: 'other' })]).toEqual([route, 404]);
      expect([route, await ask(route, { scopes: ['builds:write'] })]).toEqual([route, 403]);
    }
  });
});

describe('a webhook', () => {
  it('arrives signed, and is listed with what became of it', async () => {
    await using receiver = await startReceiver((_, response) => response.writeHead(204).end());
    await using api = await start();
    const { id, secret } = await create(api, {
      ...{ url: `http://hook.internal:${receiver.port}/`, eventTypes: ['source.added'] },
    });
    const source = await api.uploadSource();
    await api.test.until(async () => receiver.received[0]);
    const [got] = receiver.received;
    expect(new Webhook(secret).verify(got?.body ?? '', got?.headers ?? {})).toMatchObject({
      ...{ type: 'source.added', subject: source },
    });
    const items = await api.test.until(async () => {
      const response = await api.request('GET', `${path}/${id}/deliveries`);
      const page = (await response.json()) as { items: { state: string; id: string }[] };
      return page.items[0]?.state === 'DELIVERED' ? page.items : undefined;
    });
    expect(items).toMatchObject([
      { endpointId: id, eventType: 'source.added', lastStatus: 204, nextAttemptAt: null },
    ]);

    const again = `${path}/${id}/deliveries/${items[0]?.id}`;
    const redelivered = await api.postJson(`${again}:redeliver`, {});
    expect(redelivered.status).toBe(202);
    expect(redelivered.headers.get('location')).toBe(again);
    await api.test.until(async () => receiver.received[1]);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(ids[1]).toBe(ids[0]);
    expect(await (await api.request('GET', again)).json()).toMatchObject({ id: items[0]?.id });
  });

  it('is signed with both secrets while they rotate', async () => {
    await using receiver = await startReceiver((_, response) => response.writeHead(204).end());
    await using api = await start();
    const { id, secret } = await create(api, {
      ...{ url: `http://hook.internal:${receiver.port}/`, eventTypes: ['source.added'] },
    });
    const response = await api.postJson(`${path}/${id}:rotate-secret`, { overlapSeconds: 60 });
    expect(response.status).toBe(200);
    const rotated = (await response.json()) as Endpoint;
    expect(rotated).toMatchObject({ id, previousSecretExpiresAt: expect.any(String) });
    expect(rotated.secret).not.toBe(secret);
    await api.uploadSource();
    const got = await api.test.until(async () => receiver.received[0]);
    for (const each of [secret, rotated.secret]) new Webhook(each).verify(got.body, got.headers);
  });

  it('gets one new secret of a rotation that is repeated under an Idempotency-Key', async () => {
    await using api = await start();
    const { id, secret } = await create(api);
    const rotate = async (body: object) => {
      const headers = { 'idempotency-key': 'k-1' };
      const response = await api.postJson(`${path}/${id}:rotate-secret`, body, headers);
      return { status: response.status, endpoint: (await response.json()) as Endpoint };
    };
    const first = await rotate({});
    expect(first.endpoint.secret).not.toBe(secret);
    expect(await rotate({})).toEqual(first);
    expect((await rotate({ overlapSeconds: 1 })).status).toBe(422);
  });

  it('whose endpoint answers 410 is its last', async () => {
    await using receiver = await startReceiver((_, response) => response.writeHead(410).end());
    await using api = await start();
    const { id } = await create(api, { url: `http://hook.internal:${receiver.port}/` });
    const endpoint = await api.test.until(async () => {
      const found = (await (await api.request('GET', `${path}/${id}`)).json()) as {
        disabled: boolean;
      };
      return found.disabled ? found : undefined;
    });
    expect(endpoint).toMatchObject({ disabledReason: 'the endpoint answered 410 Gone' });
    await api.uploadSource();
    const page = (await (await api.request('GET', `${path}/${id}/deliveries`)).json()) as {
      items: unknown[];
    };
    expect(page.items).toMatchObject([{ eventType: 'webhook_endpoint.created', state: 'FAILED' }]);
    const redeliver = `${path}/${id}/deliveries/${(page.items[0] as Endpoint).id}:redeliver`;
    expect((await api.postJson(redeliver, {})).status).toBe(409);
  });
});
