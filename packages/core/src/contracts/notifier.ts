import type { DeliveredEvent, WebhookEndpoint, WebhookSecret } from '../model/webhook.ts';
import type { Adapter, Call } from './call.ts';

export interface Notice {
  readonly event: DeliveredEvent;
  /** Null: to the notifier's own target. */
  readonly endpoint: WebhookEndpoint | null;
}

/** What became of a notice that was sent. */
export interface NoticeReceipt {
  /** `gone`: the endpoint wants nothing more, ever. */
  readonly outcome: 'delivered' | 'refused' | 'gone';
  /** Of the answer, where there is one. */
  readonly status: number | null;
  /** Why it was not delivered, in words that the endpoint's owner may read; null where it was. */
  readonly error: string | null;
}

/** What a notifier has that sends to the endpoints of tenants. */
export interface EndpointSupport {
  /** Whether it would send there, as far as that shows without asking DNS. @throws `invalid_input` with the pointer `/url` */
  checkUrl(url: string): void;
  /** Of the server's keys, the one for new secrets. */
  readonly keyId: string;
  /** The secret itself, for the endpoint's owner. @throws `not_found` where the server's key is not there any more */
  secretOf(endpoint: Pick<WebhookEndpoint, 'id' | 'tenantId'>, secret: WebhookSecret): string;
}

/** Tells others what happened: each event at least once, in no order. Whoever calls it repeats what failed. */
export interface Notifier extends Adapter {
  /** Null: it has one target of its own, set by whoever runs the server, which gets the events of all tenants. */
  readonly endpoints: EndpointSupport | null;
  /**
   * Sends it once. Its answer is told, whatever it is.
   * @throws `unavailable`, `timeout`, `forbidden` (the address is refused) where there is no answer; `aborted`, `closed`
   */
  notify(notice: Notice, call: Call): Promise<NoticeReceipt>;
}
