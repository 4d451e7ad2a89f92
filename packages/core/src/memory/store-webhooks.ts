import type {
  Accepted,
  IdempotencyKey,
  NewWebhookEndpoint,
  NewWebhookSecret,
  WebhookEndpointUpdate,
} from '../contracts/store.ts';
import { CygniError, preconditionError } from '../errors.ts';
import { idSchema } from '../model/names.ts';
import type { PageRequest } from '../model/page.ts';
import type { WebhookEndpoint } from '../model/webhook.ts';
import {
  checkCursor,
  isoNow,
  keyOf,
  listPage,
  record,
  rememberKey,
  replayOf,
  type StoreState,
} from './store-state.ts';

export function webhookMethods(state: StoreState) {
  const { endpoints } = state;
  const find = (tenantId: string, id: string) => endpoints.get(keyOf(tenantId, id)) ?? null;

  /** What a request with this key made before, as it is now. */
  function replay(tenantId: string, idempotency: IdempotencyKey | null) {
    const resource = replayOf(state, tenantId, idempotency, find);
    return resource && { resource, replayed: true };
  }

  function change(
    endpoint: WebhookEndpoint,
    changes: Partial<WebhookEndpoint>,
    type: 'webhook_endpoint.updated' | 'webhook_endpoint.secret_rotated',
  ): WebhookEndpoint {
    const { tenantId, id, version } = endpoint;
    const changed = { ...endpoint, ...changes, version: version + 1, updatedAt: isoNow(state) };
    endpoints.set(keyOf(tenantId, id), changed);
    const { eventTypes, disabledReason } = changed;
    const data =
      type === 'webhook_endpoint.updated' ? { eventTypes, disabled: disabledReason !== null } : {};
    record(state, { tenantId, type, subject: id, data });
    return changed;
  }

  return {
    addWebhookEndpoint(
      endpoint: NewWebhookEndpoint,
      maximum: number,
      idempotency: IdempotencyKey | null,
    ): Accepted<WebhookEndpoint> {
      const { tenantId, id, url, description, eventTypes, secret } = endpoint;
      const before = replay(tenantId, idempotency);
      if (before) return before;
      const own = [...endpoints.values()].filter((each) => each.tenantId === tenantId);
      if (own.length >= maximum) {
        const message = `there are ${maximum} webhook endpoints, and no more fit`;
        throw new CygniError('conflict', message);
      }
      const now = isoNow(state);
      const added: WebhookEndpoint = {
        ...{ id, tenantId, url, description, eventTypes, disabledReason: null },
        secrets: [{ ...secret, expiresAt: null }],
        ...{ version: 1, createdAt: now, updatedAt: now },
      };
      endpoints.set(keyOf(tenantId, id), added);
      if (idempotency) rememberKey(state, tenantId, idempotency, id);
      record(state, {
        ...{ tenantId, type: 'webhook_endpoint.created', subject: id },
        data: { eventTypes },
      });
      return { resource: added, replayed: false };
    },

    getWebhookEndpoint: find,

    listWebhookEndpoints(tenantId: string, page: PageRequest) {
      checkCursor(page, (id) => idSchema.safeParse(id).success);
      const own = [...endpoints.values()].filter((each) => each.tenantId === tenantId);
      return listPage(own, page, ({ createdAt, id }) => ({ createdAt, id }));
    },

    updateWebhookEndpoint(
      tenantId: string,
      id: string,
      update: WebhookEndpointUpdate,
      version: number | null,
    ): WebhookEndpoint | null {
      const endpoint = find(tenantId, id);
      if (!endpoint) return null;
      if (version !== null && version !== endpoint.version) {
        throw preconditionError();
      }
      return change(endpoint, update, 'webhook_endpoint.updated');
    },

    rotateWebhookSecret(
      tenantId: string,
      id: string,
      { overlapSeconds, ...secret }: NewWebhookSecret,
      idempotency: IdempotencyKey | null,
    ): Accepted<WebhookEndpoint> | null {
      const endpoint = find(tenantId, id);
      if (!endpoint) return null;
      const done = replay(tenantId, idempotency);
      if (done) return done;
      if (idempotency) rememberKey(state, tenantId, idempotency, id);
      const expiresAt = new Date(state.now() + overlapSeconds * 1000).toISOString();
      const before = endpoint.secrets.slice(0, 1).map((each) => ({ ...each, expiresAt }));
      const secrets = [{ ...secret, expiresAt: null }, ...before];
      const rotated = change(endpoint, { secrets }, 'webhook_endpoint.secret_rotated');
      return { resource: rotated, replayed: false };
    },

    deleteWebhookEndpoint(tenantId: string, id: string, version: number | null): boolean {
      const endpoint = find(tenantId, id);
      if (!endpoint || (version !== null && version !== endpoint.version)) return false;
      endpoints.delete(keyOf(tenantId, id));
      state.deliveries = state.deliveries.filter(({ delivery }) => delivery.endpointId !== id);
      record(state, { tenantId, type: 'webhook_endpoint.deleted', subject: id, data: {} });
      return true;
    },
  };
}
