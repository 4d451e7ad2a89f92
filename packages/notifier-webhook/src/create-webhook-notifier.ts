import {
  abortedError,
  type Call,
  CygniError,
  type Notice,
  type NoticeReceipt,
  type Notifier,
  SPEC_VERSION,
  type WebhookEndpoint,
} from '@cygni/core';
import { parseOutboundUrl } from '@cygni/core/outbound';
import { request } from 'undici';
import { deriveSecret } from './derive-secret.ts';
import { createGuardedAgent } from './guarded-agent.ts';
import { mapError } from './map-error.ts';
import { resolveOptions, type WebhookKey, type WebhookNotifierOptions } from './options.ts';
import { sign } from './sign.ts';

const answerBytes = 16_384;

/**
 * Sends events to endpoints of tenants, by the rules of Standard Webhooks. Only https, and only to public addresses,
 * unless a host is allowed by name.
 * @throws `invalid_configuration`
 */
export function createWebhookNotifier(options: WebhookNotifierOptions): Notifier {
  const resolved = resolveOptions(options);
  const { keys, allowedHosts, timeoutMs } = resolved;
  const policy = { allowedHosts, allowHttp: true };
  const closing = new AbortController();
  const agent = createGuardedAgent(resolved, policy, closing.signal);
  let closed: Promise<void> | undefined;

  function check({ signal }: Call): void {
    if (closed) throw new CygniError('closed', 'the notifier is closed');
    if (signal.aborted) throw abortedError(signal);
  }

  async function send(url: URL, notice: Notice, secrets: readonly string[], signal: AbortSignal) {
    const { event } = notice;
    const { id, type, subject, data, createdAt } = event;
    const body = JSON.stringify({ id, type, timestamp: createdAt, subject, data });
    const seconds = Math.floor(Date.now() / 1000);
    const response = await request(url, {
      method: 'POST',
      dispatcher: agent,
      signal,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'cygni-webhooks',
        'webhook-id': id,
        'webhook-timestamp': String(seconds),
        'webhook-signature': secrets.map((each) => sign(each, id, seconds, body)).join(' '),
      },
      body,
    });
    // The status has said it all: a body that is long, or breaks off, changes nothing.
    await response.body.dump({ limit: answerBytes, signal }).catch(() => {});
    return response.statusCode;
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'webhook',
    endpoints: {
      checkUrl(url) {
        parseOutboundUrl(url, policy, '/url');
      },
      keyId: resolved.keys[0]?.id ?? '',
      secretOf: (endpoint, secret) => deriveSecret(keys, endpoint, secret),
    },
    async open(call) {
      check(call);
    },
    close() {
      closing.abort(new CygniError('closed', 'the notifier is closed'));
      closed ??= agent.destroy();
      return closed;
    },
    async notify(notice, call) {
      check(call);
      const { endpoint } = notice;
      if (!endpoint) throw new CygniError('unsupported', 'webhooks need an endpoint');
      const url = parseOutboundUrl(endpoint.url, policy, '/url');
      const secrets = secretsOf(keys, endpoint);
      const signal = AbortSignal.any([
        ...[call.signal, closing.signal],
        AbortSignal.timeout(timeoutMs),
      ]);
      try {
        return receiptOf(await send(url, notice, secrets, signal));
      } catch (error) {
        throw mapError(error, signal);
      }
    },
  };
}

/** Those that sign now, the present one first. @throws `invalid_configuration` where the server has lost their keys */
function secretsOf(keys: readonly WebhookKey[], endpoint: WebhookEndpoint): readonly string[] {
  const now = Date.now();
  const known = endpoint.secrets
    .filter(({ expiresAt }) => expiresAt === null || Date.parse(expiresAt) > now)
    .filter(({ keyId }) => keys.some(({ id }) => id === keyId));
  if (known.length > 0) return known.map((secret) => deriveSecret(keys, endpoint, secret));
  const message = 'the server has lost the key of the secret; rotate it';
  throw new CygniError('invalid_configuration', message);
}

function receiptOf(status: number): NoticeReceipt {
  if (status >= 200 && status < 300) return { outcome: 'delivered', status, error: null };
  if (status === 410) return { outcome: 'gone', status, error: null };
  const redirect = status >= 300 && status < 400 ? '; redirects are not followed' : '';
  return { outcome: 'refused', status, error: `the endpoint answered ${status}${redirect}` };
}
