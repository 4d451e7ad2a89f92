import { createMemoryStore, type Notice, type NoticeReceipt, type Notifier } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { pauseAfter } from '../../src/platform/delivery-schedule.ts';
import { testCall } from '../fixtures/call.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

type Answer = (notice: Notice, signal: AbortSignal) => Promise<NoticeReceipt>;
const delivered: NoticeReceipt = { outcome: 'delivered', status: 204, error: null };
const refused: NoticeReceipt = { outcome: 'refused', status: 500, error: 'it answered 500' };
const gone: NoticeReceipt = { outcome: 'gone', status: 410, error: null };

function scripted(
  answer: Answer,
  { name = 'webhook', endpoints = true } = {},
): Notifier & { readonly notices: Notice[] } {
  const notices: Notice[] = [];
  return {
    ...{ specVersion: 1, name, notices },
    endpoints: endpoints
      ? { keyId: 'k1', checkUrl() {}, secretOf: (_, secret) => `whsec_${secret.id}` }
      : null,
    async open() {},
    async close() {},
    async notify(notice, { signal }) {
      notices.push(notice);
      return answer(notice, signal);
    },
  };
}

const request = { url: 'https://acme.test/', description: null, eventTypes: [] };
const page = { limit: 100, cursor: null };

async function deliveriesOf(test: TestPlatform, id: string) {
  return (await test.platform.webhooks.listDeliveries('acme', id, page, testCall())).items;
}

/** Resolves once no delivery waits to be tried for the first time. */
async function tried(test: TestPlatform, id: string, count: number) {
  return test.until(async () => {
    const all = await deliveriesOf(test, id);
    const done = all.filter(({ lastStatus, lastError }) => lastStatus ?? lastError);
    return done.length === count ? all : undefined;
  });
}

describe('a tenant’s endpoint', () => {
  it('is told of each event, from its own beginning to the end of a build', async () => {
    const notifier = scripted(async () => delivered);
    await using test = await startPlatform({ notifiers: [notifier] });
    const { endpoint, secret } = await test.platform.webhooks.create(
      'acme',
      request,
      null,
      testCall(),
    );
    expect(secret).toBe(`whsec_${endpoint.secrets[0]?.id}`);
    await test.build('acme');
    await test.build('other');
    await test.until(async () =>
      notifier.notices.some(({ event }) => event.type === 'build.finished') ? true : undefined,
    );
    const types = notifier.notices.map(({ event }) => event.type).sort();
    expect(types).toEqual([
      ...['build.accepted', 'build.finished', 'build.started'],
      ...['source.added', 'webhook_endpoint.created'],
    ]);
    for (const { endpoint: to, event } of notifier.notices) {
      expect([to?.id, event.tenantId]).toEqual([endpoint.id, 'acme']);
    }
    const records = await tried(test, endpoint.id, 5);
    expect(records.every(({ state }) => state === 'DELIVERED')).toBe(true);
    expect(await test.platform.metrics.metrics()).toContain(
      'cygni_notices_total{notifier="webhook",state="delivered"} 5',
    );
  });

  it('that fails is tried again after pauses, and at last given up', async () => {
    let ahead = 0;
    const store = createMemoryStore({ now: () => new Date(Date.now() + ahead) });
    const notifier = scripted(async () => refused);
    await using test = await startPlatform({ store, notifiers: [notifier] });
    const { endpoint } = await test.platform.webhooks.create('acme', request, null, testCall());
    for (let count = 1; count <= 10; count += 1) {
      const [record] = await test.until(async () => {
        const all = await deliveriesOf(test, endpoint.id);
        const [first] = all;
        const recorded = first?.attempt === count && first.lastStatus !== null;
        const waits = first?.state === 'FAILED' || notifier.notices.length === count;
        return recorded && waits ? all : undefined;
      });
      expect(record?.state).toBe(count < 10 ? 'PENDING' : 'FAILED');
      ahead += 30 * 3_600_000;
    }
    const [record] = await deliveriesOf(test, endpoint.id);
    expect(record).toMatchObject({
      ...{ state: 'FAILED', attempt: 10, lastStatus: 500, nextAttemptAt: null },
    });

    const redelivered = await test.platform.webhooks.redeliver(
      ...(['acme', endpoint.id, record?.id ?? '', testCall()] as const),
    );
    expect(redelivered.state).toBe('PENDING');
    await test.until(async () => (notifier.notices.length === 11 ? true : undefined));
    expect(notifier.notices[10]?.event.id).toBe(notifier.notices[0]?.event.id);
  });

  it('that is gone is disabled, and gets nothing more until it is enabled again', async () => {
    let answer = gone;
    const notifier = scripted(async () => answer);
    await using test = await startPlatform({ notifiers: [notifier] });
    const { webhooks } = test.platform;
    const { endpoint } = await webhooks.create('acme', request, null, testCall());
    const disabled = await test.until(async () => {
      const found = await webhooks.get('acme', endpoint.id, testCall());
      return found.disabledReason === null ? undefined : found;
    });
    expect(disabled.disabledReason).toBe('the endpoint answered 410 Gone');
    const [record] = await deliveriesOf(test, endpoint.id);
    const redeliver = () => webhooks.redeliver('acme', endpoint.id, record?.id ?? '', testCall());
    await expect(redeliver()).rejects.toMatchObject({ code: 'conflict' });
    answer = delivered;
    await webhooks.update('acme', endpoint.id, { disabled: false }, null, testCall());
    await redeliver();
    await test.until(async () => (notifier.notices.length >= 2 ? true : undefined));
  });

  it('that hangs keeps no other waiting', async () => {
    const notifier = scripted((notice, signal) => {
      if (notice.endpoint?.url === request.url) return Promise.resolve(delivered);
      return new Promise((_, reject) => signal.addEventListener('abort', reject, { once: true }));
    });
    await using test = await startPlatform({ notifiers: [notifier] });
    const { webhooks } = test.platform;
    await webhooks.create('acme', { ...request, url: 'https://hangs.test/' }, null, testCall());
    const { endpoint } = await webhooks.create('acme', request, null, testCall());
    for (let count = 0; count < 4; count += 1) await test.build('acme');
    const records = await test.until(async () => {
      const all = await deliveriesOf(test, endpoint.id);
      return all.length >= 17 && all.every(({ state }) => state === 'DELIVERED') ? all : undefined;
    });
    expect(records.length).toBeGreaterThanOrEqual(17);
    const hanging = notifier.notices.filter((notice) => notice.endpoint?.id !== endpoint.id);
    expect(hanging).toHaveLength(5);
  });

  it('is told by another process what one that stops was about to tell', async () => {
    const store = createMemoryStore();
    const hanging = scripted(
      (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
    );
    const working = scripted(async () => delivered);
    const first = await startPlatform({ store, notifiers: [hanging] });
    const { endpoint } = await first.platform.webhooks.create('acme', request, null, testCall());
    await first.until(async () => (hanging.notices.length > 0 ? true : undefined));
    await first.platform.stop();
    await using second = await startPlatform({ store, notifiers: [working] });
    const [record] = await tried(second, endpoint.id, 1);
    expect(record).toMatchObject({ state: 'DELIVERED', attempt: 2 });
  });

  it('is not there where no notifier sends to endpoints', async () => {
    await using test = await startPlatform();
    const created = test.platform.webhooks.create('acme', request, null, testCall());
    await expect(created).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe('a notifier with a target of its own', () => {
  it('is told of the events of every tenant', async () => {
    const notifier = scripted(async () => delivered, { name: 'topic', endpoints: false });
    await using test = await startPlatform({ notifiers: [notifier] });
    await test.until(async () => {
      await test.build('acme');
      await test.build('other');
      const tenants = new Set(notifier.notices.map(({ event }) => event.tenantId));
      return tenants.size === 2 ? true : undefined;
    });
    expect(notifier.notices.every(({ endpoint }) => endpoint === null)).toBe(true);
  });

  it('that throws is tried again', async () => {
    let failures = 1;
    const notifier = scripted(
      async () => {
        failures -= 1;
        if (failures >= 0) throw new Error('canary');
        return delivered;
      },
      { endpoints: true },
    );
    await using test = await startPlatform({ notifiers: [notifier] });
    const { endpoint } = await test.platform.webhooks.create('acme', request, null, testCall());
    const [record] = await tried(test, endpoint.id, 1);
    expect(record).toMatchObject({ state: 'PENDING', lastError: 'the notifier failed' });
  });
});

describe('the pauses between tries', () => {
  it('grow from seconds to a day, each with jitter, and end after three days', () => {
    const all = Array.from({ length: 9 }, (_, index) => pauseAfter(index + 1) ?? 0);
    expect(all[0]).toBeGreaterThanOrEqual(4.5);
    expect(all[0]).toBeLessThanOrEqual(5.5);
    expect(all[8]).toBeGreaterThan(21 * 3_600);
    const days = all.reduce((sum, pause) => sum + pause, 0) / 86_400;
    expect(days).toBeGreaterThan(2.7);
    expect(days).toBeLessThan(3.6);
    expect(pauseAfter(10)).toBe(null);
    expect(new Set(Array.from({ length: 20 }, () => pauseAfter(4))).size).toBeGreaterThan(10);
  });
});
