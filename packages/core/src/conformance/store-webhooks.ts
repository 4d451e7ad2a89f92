import { randomUUID } from 'node:crypto';
import type { NewWebhookEndpoint } from '../contracts/store.ts';
import { call, type Fixture, idempotencyKey, readAll } from './store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function newEndpoint(changes: Partial<NewWebhookEndpoint> = {}): NewWebhookEndpoint {
  return {
    ...{ id: randomUUID(), tenantId: 'acme', url: 'https://acme.test/hook' },
    ...{ description: null, eventTypes: [], secret: { id: randomUUID(), keyId: 'k1' } },
    ...changes,
  };
}

export function testWebhooks({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  const add = async (changes?: Partial<NewWebhookEndpoint>) => {
    const { store } = current();
    return (await store.addWebhookEndpoint(newEndpoint(changes), 100, null, call)).resource;
  };
  const types = async () => {
    const events = await current().eventTypes();
    return events.filter((type) => type.startsWith('webhook_endpoint.'));
  };

  describe('a webhook endpoint', () => {
    it('is kept as it was set, for its tenant only', async () => {
      const { store } = current();
      const wanted = newEndpoint({ description: 'ours', eventTypes: ['build.finished'] });
      const { resource: added } = await store.addWebhookEndpoint(wanted, 100, null, call);
      const { secret, ...same } = wanted;
      expect(added).toMatchObject({
        ...same,
        ...{ disabledReason: null, version: 1 },
        secrets: [{ ...secret, expiresAt: null }],
      });
      expect(await store.getWebhookEndpoint('acme', added.id, call)).toEqual(added);
      expect(await store.getWebhookEndpoint('other', added.id, call)).toBe(null);
      expect(await store.getWebhookEndpoint('acme', 'no-id', call)).toBe(null);
      expect(await types()).toEqual(['webhook_endpoint.created']);
    });

    it('is one of as many as a tenant may have, also where many are added at once', async () => {
      const { store } = current();
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, () => store.addWebhookEndpoint(newEndpoint(), 3, null, call)),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
      await expect(store.addWebhookEndpoint(newEndpoint(), 3, null, call)).rejects.toMatchObject({
        code: 'conflict',
      });
      await store.addWebhookEndpoint(newEndpoint({ tenantId: 'other' }), 3, null, call);
    });

    it('is listed once, newest first, on pages of any size', async () => {
      const { store } = current();
      const ids: string[] = [];
      for (let count = 0; count < 5; count += 1) ids.push((await add()).id);
      await add({ tenantId: 'other' });
      const all = await readAll((page) => store.listWebhookEndpoints('acme', page, call), 2);
      expect(all.map(({ id }) => id).sort()).toEqual(ids.sort());
      const times = all.map(({ createdAt }) => createdAt);
      expect(times).toEqual(times.toSorted().toReversed());
    });

    it('is changed where the version is the one that was read', async () => {
      const { store } = current();
      const { id } = await add({ description: 'old' });
      const changed = await store.updateWebhookEndpoint(
        'acme',
        id,
        { url: 'https://b.test/' },
        1,
        call,
      );
      expect(changed).toMatchObject({ url: 'https://b.test/', description: 'old', version: 2 });
      const update = {
        description: null,
        eventTypes: ['build.started'],
        disabledReason: 'no more',
      };
      await expect(store.updateWebhookEndpoint('acme', id, update, 1, call)).rejects.toMatchObject({
        code: 'precondition_failed',
      });
      expect(await store.getWebhookEndpoint('acme', id, call)).toEqual(changed);
      expect(await store.updateWebhookEndpoint('acme', id, update, null, call)).toMatchObject({
        ...{ ...update, url: 'https://b.test/', version: 3 },
      });
      const enabled = { disabledReason: null };
      expect(await store.updateWebhookEndpoint('acme', id, enabled, 3, call)).toMatchObject(
        enabled,
      );
      expect(await store.updateWebhookEndpoint('other', id, update, null, call)).toBe(null);
      expect(await store.updateWebhookEndpoint('acme', randomUUID(), update, null, call)).toBe(
        null,
      );
      expect((await types()).filter((type) => type.endsWith('updated'))).toHaveLength(3);
    });

    it('has two secrets while they rotate, the new one first', async () => {
      const { store } = current();
      const { id, secrets } = await add();
      const rotate = async (secretId: string) => {
        const secret = { id: secretId, keyId: 'k2', overlapSeconds: 60 };
        return (await store.rotateWebhookSecret('acme', id, secret, null, call))?.resource;
      };
      const [second, third] = [randomUUID(), randomUUID()];
      const rotated = await rotate(second);
      expect(rotated?.secrets.map((secret) => secret.id)).toEqual([second, secrets[0]?.id]);
      expect(rotated?.secrets[0]).toMatchObject({ keyId: 'k2', expiresAt: null });
      const seconds =
        (Date.parse(rotated?.secrets[1]?.expiresAt ?? '') - Date.parse(rotated?.updatedAt ?? '')) /
        1000;
      expect(Math.round(seconds)).toBe(60);
      const again = await rotate(third);
      expect(again?.secrets.map((secret) => secret.id)).toEqual([third, second]);
      const secret = { id: third, keyId: 'k2', overlapSeconds: 1 };
      expect(await store.rotateWebhookSecret('other', id, secret, null, call)).toBe(null);
      expect((await types()).includes('webhook_endpoint.secret_rotated')).toBe(true);
    });

    it('is added once under an idempotency key, also by requests at once and at the maximum', async () => {
      const { store } = current();
      const key = idempotencyKey({ route: 'POST /v1/webhook-endpoints' });
      const added = await Promise.all(
        Array.from({ length: 4 }, () => store.addWebhookEndpoint(newEndpoint(), 1, key, call)),
      );
      expect(new Set(added.map(({ resource }) => resource.id)).size).toBe(1);
      expect(added.filter(({ replayed }) => !replayed)).toHaveLength(1);
      const other = { ...key, fingerprint: 'another' };
      await expect(store.addWebhookEndpoint(newEndpoint(), 1, other, call)).rejects.toMatchObject({
        code: 'idempotency_mismatch',
      });
      expect(await types()).toEqual(['webhook_endpoint.created']);
    });

    it('that was not added leaves its idempotency key free', async () => {
      const { store } = current();
      const key = idempotencyKey();
      const refused = store.addWebhookEndpoint(newEndpoint(), 0, key, call);
      await expect(refused).rejects.toMatchObject({ code: 'conflict' });
      const added = await store.addWebhookEndpoint(newEndpoint(), 1, key, call);
      expect(added.replayed).toBe(false);
    });

    it('that is gone is not added again by a request that is repeated', async () => {
      const { store } = current();
      const key = idempotencyKey();
      const { resource } = await store.addWebhookEndpoint(newEndpoint(), 1, key, call);
      await store.deleteWebhookEndpoint('acme', resource.id, null, call);
      await expect(store.addWebhookEndpoint(newEndpoint(), 1, key, call)).rejects.toMatchObject({
        code: 'not_found',
      });
    });

    it('gets one new secret under an idempotency key', async () => {
      const { store } = current();
      const { id, secrets } = await add();
      const key = idempotencyKey();
      const rotate = (secretId: string, endpointId = id) => {
        const secret = { id: secretId, keyId: 'k1', overlapSeconds: 60 };
        return store.rotateWebhookSecret('acme', endpointId, secret, key, call);
      };
      expect(await rotate(randomUUID(), randomUUID())).toBe(null);
      const first = randomUUID();
      expect(await rotate(first)).toMatchObject({ replayed: false });
      const again = await rotate(randomUUID());
      expect(again?.replayed).toBe(true);
      expect(again?.resource.secrets.map((each) => each.id)).toEqual([first, secrets[0]?.id]);
    });

    it('goes with its deliveries, unless it was changed meanwhile', async () => {
      const { store } = current();
      const { id } = await add();
      expect(await store.deleteWebhookEndpoint('other', id, null, call)).toBe(false);
      expect(await store.deleteWebhookEndpoint('acme', id, 2, call)).toBe(false);
      expect(await store.deleteWebhookEndpoint('acme', id, 1, call)).toBe(true);
      expect(await store.deleteWebhookEndpoint('acme', id, null, call)).toBe(false);
      expect(await store.getWebhookEndpoint('acme', id, call)).toBe(null);
      const page = { limit: 10, cursor: null };
      expect((await store.listDeliveries('acme', id, page, call)).items).toEqual([]);
      expect((await types()).includes('webhook_endpoint.deleted')).toBe(true);
    });
  });
}
