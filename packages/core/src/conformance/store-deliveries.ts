import { randomUUID } from 'node:crypto';
import type {
  DeliveryClaim,
  DeliveryFilter,
  DeliveryFinish,
  NewWebhookEndpoint,
} from '../contracts/store.ts';
import { call, type Fixture, finished, leaseSeconds, limit, readAll } from './store-fixture.ts';
import { newEndpoint } from './store-webhooks.ts';
import type { TestFunctions } from './test-functions.ts';

const everything: DeliveryFilter = {
  ...{ endpoints: true, notifiers: ['topic'], maximumPerTarget: 100, limit: 100, leaseSeconds },
};
const delivered: DeliveryFinish = {
  ...{ state: 'DELIVERED', status: 204, error: null, retryInSeconds: 0, counted: true },
  disableEndpoint: null,
};
const failed: DeliveryFinish = {
  ...{ state: 'PENDING', status: 500, error: 'answered 500', retryInSeconds: 60, counted: true },
  disableEndpoint: null,
};
const page = { limit: 100, cursor: null };

export function testDeliveries({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  const claim = (changes: Partial<DeliveryFilter> = {}) =>
    current().store.claimDeliveries({ ...everything, ...changes }, call);
  const finish = (claimed: DeliveryClaim, how: DeliveryFinish) =>
    current().store.finishDelivery(claimed.fence, how, call);
  const typesOf = (claims: readonly DeliveryClaim[]) =>
    claims.map(({ event }) => event.type).sort();
  const list = async (endpointId: string) =>
    (await current().store.listDeliveries('acme', endpointId, page, call)).items;
  const told = async (endpointId: string, type: string) =>
    (await list(endpointId)).find(({ eventType }) => eventType === type);

  /** An endpoint that has got the event of its own beginning. */
  async function endpoint(changes: Partial<NewWebhookEndpoint> = {}): Promise<string> {
    const { store } = current();
    const endpoint = newEndpoint(changes);
    const { id } = (await store.addWebhookEndpoint(endpoint, 100, null, call)).resource;
    for (const claimed of await claim()) await finish(claimed, delivered);
    return id;
  }
  async function oneClaim(): Promise<DeliveryClaim> {
    const [claimed, ...others] = await claim();
    if (!claimed || others.length > 0) throw new Error('not one delivery');
    return claimed;
  }

  describe('a delivery', () => {
    it('is planned of each event for each endpoint of its tenant that asked for it', async () => {
      const { store, source } = current();
      const every = await endpoint();
      const some = await endpoint({ eventTypes: ['build.finished', 'source.added'] });
      const none = await endpoint({ eventTypes: ['build.finished'] });
      const others = await endpoint({ tenantId: 'other' });
      const disabled = await endpoint();
      await store.updateWebhookEndpoint('acme', disabled, { disabledReason: 'no' }, null, call);
      for (const claimed of await claim()) await finish(claimed, delivered);
      const sourceId = await source();
      const claims = await claim();
      const targets = claims.map(({ target }) => target.endpoint?.id).sort();
      expect(targets).toEqual([every, some].sort());
      for (const { event, tries, fence } of claims) {
        expect(event).toMatchObject({ tenantId: 'acme', type: 'source.added', subject: sourceId });
        expect([tries, fence.attempt]).toEqual([0, 1]);
      }
      const { items } = await store.listEvents('acme', page, call);
      const recorded = items.find(({ type }) => type === 'source.added');
      expect(claims[0]?.event).toEqual(recorded);
      expect(await list(none)).toHaveLength(0);
      expect(await list(others)).toHaveLength(0);
    });

    it('begins with the endpoint itself', async () => {
      await current().store.addWebhookEndpoint(newEndpoint(), 100, null, call);
      expect(typesOf(await claim())).toEqual(['webhook_endpoint.created']);
    });

    it('is planned of every event of a step that records several', async () => {
      const { store, newBuild, reservation, dispatchAll } = current();
      await endpoint({ eventTypes: ['build.finished', 'budget.threshold'] });
      await store.setBudget('acme', 'USD', limit, { cap: 100 }, call);
      const build = await newBuild();
      await store.acceptBuild(build, reservation({ amount: 100, cap: 100 }), null, call);
      await dispatchAll();
      await store.claimBuild(build.id, leaseSeconds, call);
      const end = { ...finished, charge: 90, alertAt: [50, 80] };
      expect(await store.finishBuild({ id: build.id, attempt: 1 }, end, call)).toBe(true);
      expect(typesOf(await claim())).toEqual([
        ...['budget.threshold', 'budget.threshold', 'build.finished'],
      ]);
    });

    it('is planned of every tenant’s events for a notifier that was announced', async () => {
      const { store, source } = current();
      await source();
      await store.announceNotifier('topic', call);
      await source();
      await source('other');
      const claims = await claim();
      expect(claims.map(({ event }) => event.tenantId).sort()).toEqual(['acme', 'other']);
      for (const { target } of claims)
        expect(target).toEqual({ endpoint: null, notifier: 'topic' });
    });

    it('goes to those who can work it off', async () => {
      const { store, source } = current();
      await endpoint();
      await store.announceNotifier('topic', call);
      await source();
      expect(await claim({ endpoints: false, notifiers: ['another'] })).toHaveLength(0);
      const [toTopic] = await claim({ endpoints: false });
      expect(toTopic?.target).toEqual({ endpoint: null, notifier: 'topic' });
      const claims = await claim({ notifiers: [] });
      expect(claims).toHaveLength(1);
    });

    it('is given to one of many who ask at once', async () => {
      const { source } = current();
      await endpoint();
      for (let count = 0; count < 10; count += 1) await source();
      const rounds = await Promise.all(Array.from({ length: 5 }, () => claim({ limit: 4 })));
      const more = await claim();
      const ids = [...rounds.flat(), ...more].map(({ fence }) => fence.id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toHaveLength(10);
    });

    it('keeps no other waiting: one endpoint has few at once', async () => {
      const { store, source } = current();
      const busy = await endpoint();
      for (let count = 0; count < 5; count += 1) await source();
      const ready = newEndpoint({ eventTypes: ['webhook_endpoint.created'] });
      await store.addWebhookEndpoint(ready, 100, null, call);
      const first = await claim({ maximumPerTarget: 2 });
      const of = (id: string) => first.filter(({ target }) => target.endpoint?.id === id);
      expect([of(busy).length, of(ready.id).length]).toEqual([2, 1]);
      expect(await claim({ maximumPerTarget: 2 })).toHaveLength(0);
      const [one] = of(busy);
      if (one) await finish(one, delivered);
      expect(await claim({ maximumPerTarget: 2 })).toHaveLength(1);
    });

    it('is over when it was delivered', async () => {
      const { source } = current();
      const id = await endpoint();
      await source();
      const claimed = await oneClaim();
      expect(await finish(claimed, delivered)).toBe(true);
      expect(await told(id, 'source.added')).toMatchObject({
        ...{ id: claimed.fence.id, tenantId: 'acme', endpointId: id, state: 'DELIVERED' },
        ...{ eventId: claimed.event.id, eventType: 'source.added', attempt: 1 },
        ...{ lastStatus: 204, lastError: null, nextAttemptAt: null },
      });
      await current().elapse(leaseSeconds + 1);
      expect(await claim()).toHaveLength(0);
    });

    it('is due again once the pause after a failure has passed', async () => {
      const { source, elapse } = current();
      const id = await endpoint();
      await source();
      await finish(await oneClaim(), failed);
      expect(await claim()).toHaveLength(0);
      expect(await told(id, 'source.added')).toMatchObject({
        ...{ state: 'PENDING', attempt: 1, lastStatus: 500, lastError: 'answered 500' },
        finishedAt: null,
      });
      await elapse(61);
      const again = await oneClaim();
      expect([again.tries, again.fence.attempt]).toEqual([1, 2]);
      await finish(again, { ...failed, retryInSeconds: 0, counted: false });
      expect((await oneClaim()).tries).toBe(1);
    });

    it('is taken over when its lease has run out, and then the one before changes nothing', async () => {
      const { source, elapse } = current();
      const id = await endpoint();
      await source();
      const late = await oneClaim();
      await elapse(leaseSeconds + 1);
      const next = await oneClaim();
      expect(next.fence).toEqual({ id: late.fence.id, attempt: 2 });
      expect(await finish(late, delivered)).toBe(false);
      expect(await told(id, 'source.added')).toMatchObject({ state: 'PENDING' });
      expect(await finish(next, delivered)).toBe(true);
      expect(await finish(next, failed)).toBe(false);
      expect(await told(id, 'source.added')).toMatchObject({ state: 'DELIVERED' });
    });

    it('that finds its endpoint gone disables it, once, and tells the others', async () => {
      const { store, source, eventTypes } = current();
      const gone = await endpoint();
      const other = await endpoint({ eventTypes: ['webhook_endpoint.disabled'] });
      await source();
      await source();
      const claims = await claim();
      const end = { ...failed, state: 'FAILED', status: 410, disableEndpoint: 'gone' } as const;
      for (const claimed of claims) expect(await finish(claimed, end)).toBe(true);
      const found = await store.getWebhookEndpoint('acme', gone, call);
      expect(found).toMatchObject({ disabledReason: 'gone', version: 2 });
      const disabled = (await eventTypes()).filter((type) => type === 'webhook_endpoint.disabled');
      expect(disabled).toHaveLength(1);
      const claimed = await oneClaim();
      expect(claimed.target.endpoint?.id).toBe(other);
      expect(claimed.event).toMatchObject({ subject: gone, data: { reason: 'gone' } });
    });

    it('is repeated by hand, with all its retries before it', async () => {
      const { store, source, elapse } = current();
      const id = await endpoint();
      await source();
      const claimed = await oneClaim();
      const redeliver = () => store.redeliver('acme', claimed.fence.id, call);
      expect(await redeliver()).toMatchObject({ state: 'PENDING', attempt: 1 });
      expect(await claim()).toHaveLength(0);
      await finish(claimed, { ...failed, state: 'FAILED' });
      expect(await store.redeliver('other', claimed.fence.id, call)).toBe(null);
      expect(await store.redeliver('acme', randomUUID(), call)).toBe(null);
      expect(await redeliver()).toMatchObject({ state: 'PENDING', finishedAt: null });
      const again = await oneClaim();
      expect([again.tries, again.fence.attempt]).toEqual([0, 2]);
      expect(again.event).toEqual(claimed.event);
      await elapse(leaseSeconds + 1);
      await redeliver();
      expect(await finish(again, delivered)).toBe(false);
      expect((await list(id)).find((each) => each.id === again.fence.id)).toMatchObject({
        attempt: 2,
      });
    });

    it('is shown to its tenant, newest first', async () => {
      const { store, source } = current();
      const id = await endpoint();
      for (let count = 0; count < 5; count += 1) await source();
      const all = await readAll((each) => store.listDeliveries('acme', id, each, call), 2);
      expect(all).toHaveLength(6);
      expect(new Set(all.map((each) => each.id)).size).toBe(6);
      const [first] = all;
      expect(await store.getDelivery('acme', first?.id ?? '', call)).toEqual(first);
      expect(await store.getDelivery('other', first?.id ?? '', call)).toBe(null);
      expect((await store.listDeliveries('other', id, page, call)).items).toEqual([]);
    });

    it('is removed so long after its end, and never before it', async () => {
      const { store, source, elapse } = current();
      const id = await endpoint();
      await source();
      const prune = () => store.pruneDeliveries({ keepSeconds: 1_000, limit: 100 }, call);
      expect(await prune()).toBe(0);
      await elapse(1_010);
      expect(await prune()).toBe(1);
      expect((await list(id)).map(({ eventType }) => eventType)).toEqual(['source.added']);
      await elapse(1_010);
      expect(await prune()).toBe(0);
    });

    it('for a notifier that nobody announces any more is removed too', async () => {
      const { store, source, elapse } = current();
      await store.announceNotifier('topic', call);
      await store.announceNotifier('other', call);
      await source();
      await elapse(1_010);
      await store.announceNotifier('topic', call);
      expect(await store.pruneDeliveries({ keepSeconds: 1_000, limit: 100 }, call)).toBe(1);
      await source();
      const claims = await claim({ notifiers: ['topic', 'other'] });
      expect(claims).toHaveLength(2);
    });

    it('that is over is kept for its own time, though nobody announces its notifier', async () => {
      const { store, source, elapse } = current();
      await store.announceNotifier('topic', call);
      await elapse(600);
      await source();
      for (const claimed of await claim()) await finish(claimed, delivered);
      await source();
      await elapse(500);
      expect(await store.pruneDeliveries({ keepSeconds: 1_000, limit: 100 }, call)).toBe(1);
      await elapse(600);
      expect(await store.pruneDeliveries({ keepSeconds: 1_000, limit: 100 }, call)).toBe(1);
    });
  });
}
