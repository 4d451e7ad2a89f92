import { randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import type { Store } from '../contracts/store.ts';
import {
  type Fixture,
  finished,
  idempotencyKey,
  limit,
  call as live,
  succeeded,
} from './store-fixture.ts';
import { newEndpoint } from './store-webhooks.ts';
import type { TestFunctions } from './test-functions.ts';

export function testLifecycle({ describe, it, expect }: TestFunctions, current: () => Fixture) {
  const id = randomUUID();
  const fence = { id, attempt: 1 };
  const key = { tenantId: 'acme', service: 'site' };
  const page = { limit: 10, cursor: null };
  const every: {
    readonly [Method in keyof Omit<Store, 'specVersion' | 'name' | 'close'>]: (
      store: Store,
      call: Call,
      fixture: Fixture,
    ) => Promise<unknown>;
  } = {
    open: (store, call) => store.open(call),
    ping: (store, call) => store.ping(call),
    addSource: (store, call) =>
      store.addSource({ id, tenantId: 'acme', key: 'k', sizeBytes: 1, sha256: 's' }, null, call),
    getSource: (store, call) => store.getSource('acme', id, call),
    acceptBuild: async (store, call, fixture) =>
      store.acceptBuild(
        await fixture.newBuild({ sourceId: id }),
        fixture.reservation(),
        idempotencyKey(),
        call,
      ),
    getBuild: (store, call) => store.getBuild('acme', id, call),
    listBuilds: (store, call) => store.listBuilds('acme', page, call),
    claimBuild: (store, call) => store.claimBuild(id, 1, call),
    heartbeatBuild: (store, call) => store.heartbeatBuild(fence, 1, call),
    finishBuild: (store, call) => store.finishBuild(fence, finished, call),
    releaseBuild: (store, call) => store.releaseBuild(fence, { countAttempt: true }, call),
    cancelBuild: (store, call) => store.cancelBuild('acme', id, call),
    findOrphanedRuns: (store, call) => store.findOrphanedRuns([{ buildId: id, attempt: 1 }], call),
    appendLog: (store, call) => store.appendLog({ ...fence, position: 0, lines: [] }, call),
    readLog: (store, call) => store.readLog('acme', id, { after: 0, limit: 1 }, call),
    archiveLog: (store, call) => store.archiveLog({ leaseSeconds: 1 }, async () => {}, call),
    getLogArchive: (store, call) => store.getLogArchive('acme', id, call),
    acceptDeployment: (store, call, fixture) =>
      store.acceptDeployment(fixture.newDeployment(), fixture.reservation(), null, call),
    getDeployment: (store, call) => store.getDeployment('acme', id, call),
    listDeployments: (store, call) => store.listDeployments('acme', { service: null }, page, call),
    claimDeployment: (store, call) => store.claimDeployment(id, 1, call),
    heartbeatDeployment: (store, call) => store.heartbeatDeployment(fence, 1, call),
    advanceDeployment: (store, call) => store.advanceDeployment(fence, 'BAKING', call),
    finishDeployment: (store, call) => store.finishDeployment(fence, succeeded, call),
    releaseDeployment: (store, call) =>
      store.releaseDeployment(fence, { countAttempt: true }, call),
    getService: (store, call) => store.getService(key, call),
    listServices: (store, call) => store.listServices('acme', page, call),
    getRevision: (store, call) => store.getRevision(key, 1, call),
    listRevisions: (store, call) => store.listRevisions(key, page, call),
    listSettledServices: (store, call) => store.listSettledServices(page, call),
    setServiceUrl: (store, call) => store.setServiceUrl(key, 'http://x.test', call),
    getAccount: (store, call) => store.getAccount('acme', 'USD', limit, call),
    setBudget: (store, call) => store.setBudget('acme', 'USD', limit, { cap: 1 }, call),
    dispatchBuilds: (store, call) =>
      store.dispatchBuilds({ maximumPerTenant: 1, maximumUnclaimed: 1, limit: 1 }, call),
    takeOutbox: (store, call) => store.takeOutbox(1, async () => {}, call),
    sweep: (store, call) => store.sweep({ queuedSeconds: 1, limit: 1 }, call),
    prune: (store, call) =>
      store.prune({ workSeconds: 1, sourceSeconds: 1, eventSeconds: 1, limit: 1 }, call),
    takeGarbage: (store, call) => store.takeGarbage(1, async () => {}, call),
    listEvents: (store, call) => store.listEvents('acme', page, call),
    addWebhookEndpoint: (store, call) => store.addWebhookEndpoint(newEndpoint(), 1, null, call),
    getWebhookEndpoint: (store, call) => store.getWebhookEndpoint('acme', id, call),
    listWebhookEndpoints: (store, call) => store.listWebhookEndpoints('acme', page, call),
    updateWebhookEndpoint: (store, call) =>
      store.updateWebhookEndpoint('acme', id, { url: 'https://x.test' }, null, call),
    rotateWebhookSecret: (store, call) =>
      store.rotateWebhookSecret('acme', id, { id, keyId: 'k', overlapSeconds: 1 }, null, call),
    deleteWebhookEndpoint: (store, call) => store.deleteWebhookEndpoint('acme', id, null, call),
    announceNotifier: (store, call) => store.announceNotifier('topic', call),
    claimDeliveries: (store, call) =>
      store.claimDeliveries(
        { endpoints: true, notifiers: [], maximumPerTarget: 1, limit: 1, leaseSeconds: 1 },
        call,
      ),
    finishDelivery: (store, call) =>
      store.finishDelivery(
        fence,
        {
          ...{ state: 'FAILED', status: null, error: null, retryInSeconds: 0, counted: true },
          disableEndpoint: null,
        },
        call,
      ),
    getDelivery: (store, call) => store.getDelivery('acme', id, call),
    listDeliveries: (store, call) => store.listDeliveries('acme', id, page, call),
    redeliver: (store, call) => store.redeliver('acme', id, call),
    pruneDeliveries: (store, call) => store.pruneDeliveries({ keepSeconds: 1, limit: 1 }, call),
  };

  describe('the life of a store', () => {
    it('opens and closes any number of times', async () => {
      const { store } = current();
      await Promise.all([store.open(live), store.open(live)]);
      await store.ping(live);
      await Promise.all([store.close(), store.close()]);
      await store.close();
    });

    it('answers nothing to a call that is aborted', async () => {
      const fixture = current();
      const signal = AbortSignal.abort();
      for (const method of Object.values(every)) {
        const answer = method(fixture.store, { ...live, signal }, fixture);
        await expect(answer).rejects.toMatchObject({ code: 'aborted', retryable: false });
      }
      expect(await fixture.store.getService(key, live)).toBe(null);
    });

    it('answers nothing once it is closed', async () => {
      const fixture = current();
      await fixture.store.open(live);
      await fixture.store.close();
      for (const method of Object.values(every)) {
        const answer = method(fixture.store, live, fixture);
        await expect(answer).rejects.toMatchObject({ code: 'closed', retryable: false });
      }
    });

    it('can be closed before it was opened', async () => {
      await current().store.close();
    });
  });
}
