import type { DeliveryClaim, DeliveryFilter, DeliveryFinish, Fence } from '../contracts/store.ts';
import { idSchema } from '../model/names.ts';
import type { PageRequest } from '../model/page.ts';
import type { WebhookDelivery } from '../model/webhook.ts';
import {
  checkCursor,
  type DeliveryRecord,
  isoNow,
  keyOf,
  listPage,
  record,
  type StoreState,
} from './store-state.ts';

export function deliveryMethods(state: StoreState) {
  const isLeased = ({ leaseUntil }: DeliveryRecord) =>
    leaseUntil !== null && leaseUntil > state.now();

  function find(tenantId: string, id: string): DeliveryRecord | undefined {
    return state.deliveries.find(
      ({ delivery }) =>
        delivery.id === id && delivery.tenantId === tenantId && delivery.endpointId !== null,
    );
  }

  function view({ delivery, dueAt }: DeliveryRecord): WebhookDelivery {
    const nextAttemptAt = delivery.state === 'PENDING' ? new Date(dueAt).toISOString() : null;
    return { ...delivery, endpointId: delivery.endpointId ?? '', nextAttemptAt };
  }

  function claim(row: DeliveryRecord, leaseSeconds: number): DeliveryClaim {
    const { tenantId, id, endpointId, attempt } = row.delivery;
    row.leaseUntil = state.now() + leaseSeconds * 1000;
    row.dueAt = row.leaseUntil;
    row.delivery = { ...row.delivery, attempt: attempt + 1 };
    const endpoint = state.endpoints.get(keyOf(tenantId, endpointId ?? ''));
    const target = endpoint ? { endpoint } : { endpoint: null, notifier: row.notifier ?? '' };
    return { fence: { id, attempt: attempt + 1 }, tries: row.tries, event: row.event, target };
  }

  return {
    announceNotifier(name: string): void {
      state.notifiers.set(name, state.now());
    },

    claimDeliveries(filter: DeliveryFilter): readonly DeliveryClaim[] {
      const { endpoints, notifiers, maximumPerTarget, limit, leaseSeconds } = filter;
      const served = ({ notifier }: DeliveryRecord) =>
        notifier === null ? endpoints : notifiers.includes(notifier);
      const targetOf = ({ notifier, delivery }: DeliveryRecord) => notifier ?? delivery.endpointId;
      const taken = new Map<string | null, number>();
      const count = (row: DeliveryRecord) =>
        taken.set(targetOf(row), (taken.get(targetOf(row)) ?? 0) + 1);
      for (const row of state.deliveries) if (isLeased(row)) count(row);
      const now = state.now();
      const due = state.deliveries
        .filter((row) => row.delivery.state === 'PENDING' && row.dueAt <= now && served(row))
        .sort((left, right) => left.dueAt - right.dueAt)
        .filter((row) => (count(row).get(targetOf(row)) ?? 0) <= maximumPerTarget)
        .slice(0, limit);
      return due.map((row) => claim(row, leaseSeconds));
    },

    finishDelivery({ id, attempt }: Fence, finish: DeliveryFinish): boolean {
      const row = state.deliveries.find(({ delivery }) => delivery.id === id);
      if (row?.delivery.attempt !== attempt || row.leaseUntil === null) return false;
      const { state: to, status, error, retryInSeconds, counted, disableEndpoint } = finish;
      row.leaseUntil = null;
      row.dueAt = state.now() + retryInSeconds * 1000;
      if (counted) row.tries += 1;
      row.delivery = {
        ...row.delivery,
        ...{ state: to, lastStatus: status, lastError: error },
        finishedAt: to === 'PENDING' ? null : isoNow(state),
      };
      const { tenantId, endpointId } = row.delivery;
      const key = keyOf(tenantId, endpointId ?? '');
      const endpoint = state.endpoints.get(key);
      if (disableEndpoint === null || !endpoint || endpoint.disabledReason !== null) return true;
      state.endpoints.set(key, {
        ...endpoint,
        disabledReason: disableEndpoint,
        version: endpoint.version + 1,
        updatedAt: isoNow(state),
      });
      const data = { reason: disableEndpoint };
      record(state, { tenantId, type: 'webhook_endpoint.disabled', subject: endpoint.id, data });
      return true;
    },

    getDelivery(tenantId: string, id: string): WebhookDelivery | null {
      const row = find(tenantId, id);
      return row ? view(row) : null;
    },

    listDeliveries(tenantId: string, endpointId: string, page: PageRequest) {
      checkCursor(page, (id) => idSchema.safeParse(id).success);
      const own = state.deliveries
        .filter(({ delivery }) => delivery.tenantId === tenantId)
        .filter(({ delivery }) => delivery.endpointId === endpointId)
        .map(view);
      return listPage(own, page, ({ createdAt, id }) => ({ createdAt, id }));
    },

    redeliver(tenantId: string, id: string): WebhookDelivery | null {
      const row = find(tenantId, id);
      if (!row) return null;
      if (isLeased(row)) return view(row);
      row.leaseUntil = null;
      row.dueAt = state.now();
      row.tries = 0;
      row.delivery = { ...row.delivery, state: 'PENDING', finishedAt: null };
      return view(row);
    },

    pruneDeliveries({ keepSeconds, limit }: { keepSeconds: number; limit: number }): number {
      const since = state.now() - keepSeconds * 1000;
      for (const [name, seenAt] of state.notifiers) {
        if (seenAt < since) state.notifiers.delete(name);
      }
      const old = state.deliveries.filter(({ delivery, notifier }) =>
        delivery.finishedAt === null
          ? notifier !== null && !state.notifiers.has(notifier)
          : Date.parse(delivery.finishedAt) < since,
      );
      const gone = new Set(old.slice(0, limit));
      state.deliveries = state.deliveries.filter((row) => !gone.has(row));
      return gone.size;
    },
  };
}
