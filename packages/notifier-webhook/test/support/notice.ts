import { randomBytes, randomUUID } from 'node:crypto';
import type { Notice, WebhookEndpoint } from '@cygni/core';

export const key = { id: 'k1', key: randomBytes(32) };

export function endpointAt(url: string, changes: Partial<WebhookEndpoint> = {}): WebhookEndpoint {
  const now = new Date().toISOString();
  return {
    ...{ id: randomUUID(), tenantId: 'acme', url, description: null, eventTypes: [] },
    ...{ disabledReason: null, version: 1, createdAt: now, updatedAt: now },
    secrets: [{ id: randomUUID(), keyId: key.id, expiresAt: null }],
    ...changes,
  };
}

export function noticeTo(endpoint: WebhookEndpoint | null): Notice {
  return {
    endpoint,
    event: {
      ...{ id: randomUUID(), tenantId: 'acme', type: 'build.finished', subject: randomUUID() },
      ...{ data: { state: 'SUCCEEDED' }, createdAt: '2026-01-01T00:00:00.000Z' },
    },
  };
}
