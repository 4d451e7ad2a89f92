import { randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import type { EndpointSupport } from '../contracts/notifier.ts';
import type { IdempotencyKey } from '../contracts/store.ts';
import { CygniError, preconditionError } from '../errors.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type {
  RotateSecretRequest,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEndpointChanges,
  WebhookEndpointRequest,
} from '../model/webhook.ts';
import { blindKey } from './blind-key.ts';
import type { PlatformContext } from './context.ts';

const maximumEndpoints = 20;

export interface EndpointWithSecret {
  readonly endpoint: WebhookEndpoint;
  /** `whsec_` and base64; to be shown this once. */
  readonly secret: string;
}

/** Endpoints of tenants. All may throw `unsupported`, where no notifier sends to endpoints. */
export interface Webhooks {
  /**
   * A repeated request gets the endpoint as it is now, with its present secret.
   * @throws `invalid_input` where events may not be sent there; `conflict` where there are 20 already; `idempotency_mismatch`
   */
  create(
    tenantId: string,
    request: WebhookEndpointRequest,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<EndpointWithSecret>;
  /** @throws `not_found` */
  get(tenantId: string, id: string, call: Call): Promise<WebhookEndpoint>;
  list(tenantId: string, page: PageRequest, call: Call): Promise<Page<WebhookEndpoint>>;
  /** @throws `not_found`; `precondition_failed` unless `version` is its version, or null; `invalid_input` */
  update(
    tenantId: string,
    id: string,
    changes: WebhookEndpointChanges,
    version: number | null,
    call: Call,
  ): Promise<WebhookEndpoint>;
  /** A repeated request gets the endpoint's present secret. @throws `not_found`, `idempotency_mismatch` */
  rotateSecret(
    tenantId: string,
    id: string,
    request: RotateSecretRequest,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<EndpointWithSecret>;
  /** @throws `not_found`; `precondition_failed` unless `version` is its version, or null */
  delete(tenantId: string, id: string, version: number | null, call: Call): Promise<void>;
  /** @throws `not_found` for the endpoint */
  listDeliveries(
    tenantId: string,
    endpointId: string,
    page: PageRequest,
    call: Call,
  ): Promise<Page<WebhookDelivery>>;
  /** @throws `not_found` */
  getDelivery(
    tenantId: string,
    endpointId: string,
    id: string,
    call: Call,
  ): Promise<WebhookDelivery>;
  /** Sends it again now. @throws `not_found`; `conflict` where the endpoint is disabled */
  redeliver(tenantId: string, endpointId: string, id: string, call: Call): Promise<WebhookDelivery>;
}

export function createWebhooks({ store, notifiers }: PlatformContext): Webhooks {
  function support(): EndpointSupport {
    const found = notifiers.find(({ endpoints }) => endpoints)?.endpoints;
    if (!found) throw new CygniError('unsupported', 'this server sends no webhooks');
    return found;
  }

  const newSecret = () => ({ id: randomUUID(), keyId: support().keyId });

  function withSecret(endpoint: WebhookEndpoint): EndpointWithSecret {
    const [present] = endpoint.secrets;
    if (!present) throw new CygniError('internal', 'an endpoint without a secret');
    return { endpoint, secret: support().secretOf(endpoint, present) };
  }

  async function get(tenantId: string, id: string, call: Call): Promise<WebhookEndpoint> {
    support();
    const endpoint = await store.getWebhookEndpoint(tenantId, id, call);
    if (!endpoint) throw new CygniError('not_found', `no webhook endpoint ${id}`);
    return endpoint;
  }

  async function getDelivery(tenantId: string, endpointId: string, id: string, call: Call) {
    const delivery = await store.getDelivery(tenantId, id, call);
    if (delivery?.endpointId === endpointId) return delivery;
    throw new CygniError('not_found', `no delivery ${id}`);
  }

  return {
    async create(tenantId, { url, description, eventTypes }, idempotency, call) {
      support().checkUrl(url);
      const endpoint = { id: randomUUID(), tenantId, url, description, eventTypes };
      const { resource } = await store.addWebhookEndpoint(
        { ...endpoint, secret: newSecret() },
        maximumEndpoints,
        blindKey(idempotency),
        call,
      );
      return withSecret(resource);
    },
    get,
    async list(tenantId, page, call) {
      support();
      return store.listWebhookEndpoints(tenantId, page, call);
    },
    async update(tenantId, id, { url, description, eventTypes, disabled }, version, call) {
      if (url !== undefined) support().checkUrl(url);
      const update = {
        ...(url !== undefined && { url }),
        ...(description !== undefined && { description }),
        ...(eventTypes !== undefined && { eventTypes }),
        ...(disabled !== undefined && { disabledReason: disabled ? 'by its owner' : null }),
      };
      const endpoint = await store.updateWebhookEndpoint(tenantId, id, update, version, call);
      if (!endpoint) throw new CygniError('not_found', `no webhook endpoint ${id}`);
      return endpoint;
    },
    async rotateSecret(tenantId, id, { overlapSeconds }, idempotency, call) {
      const secret = { ...newSecret(), overlapSeconds };
      const key = blindKey(idempotency);
      const rotated = await store.rotateWebhookSecret(tenantId, id, secret, key, call);
      if (!rotated) throw new CygniError('not_found', `no webhook endpoint ${id}`);
      return withSecret(rotated.resource);
    },
    async delete(tenantId, id, version, call) {
      if (await store.deleteWebhookEndpoint(tenantId, id, version, call)) return;
      await get(tenantId, id, call);
      throw preconditionError();
    },
    async listDeliveries(tenantId, endpointId, page, call) {
      await get(tenantId, endpointId, call);
      return store.listDeliveries(tenantId, endpointId, page, call);
    },
    getDelivery,
    async redeliver(tenantId, endpointId, id, call) {
      const endpoint = await get(tenantId, endpointId, call);
      await getDelivery(tenantId, endpointId, id, call);
      if (endpoint.disabledReason !== null) {
        throw new CygniError('conflict', 'the endpoint is disabled');
      }
      const delivery = await store.redeliver(tenantId, id, call);
      if (!delivery) throw new CygniError('not_found', `no delivery ${id}`);
      return delivery;
    },
  };
}
