import type {
  Account,
  Build,
  Deployment,
  Revision,
  Service,
  Source,
  WebhookDelivery,
  WebhookEndpoint,
} from '@cygni/core';

/** Resources as the documentation shows them; the tests put the same ones into a store and ask for them. */

const tenantId = 'acme';
const digest = `sha256:${'5f'.repeat(32)}`;

export const exampleSource: Source = {
  id: '0b9d4cbe-6e6b-4d3f-9c54-1f6f0e4a8a11',
  tenantId,
  key: 'acme/sources/0b9d4cbe-6e6b-4d3f-9c54-1f6f0e4a8a11.tar.gz',
  sizeBytes: 18_233,
  sha256: 'a3'.repeat(32),
  git: null,
  createdAt: '2026-03-02T10:15:00.000Z',
};

export const exampleGitSource = {
  ...exampleSource,
  id: '5e0a7c42-1d3b-4f5e-8c6a-7b9d0e1f2a66',
  key: 'acme/sources/5e0a7c42-1d3b-4f5e-8c6a-7b9d0e1f2a66.tar.gz',
  git: { url: 'https://git.example.com/shop.git', ref: 'main', commit: 'c4'.repeat(20) },
} satisfies Source;

export const exampleBuild: Build = {
  id: '7c1f0f0e-52a5-4a5e-9a41-0a9a5a3f6c22',
  tenantId,
  state: 'SUCCEEDED',
  sourceId: exampleSource.id,
  repository: 'web/shop',
  tags: ['v1.4.0'],
  dockerfile: 'Dockerfile',
  target: null,
  buildArguments: { NODE_ENV: 'production' },
  machine: 'small',
  timeoutSeconds: 600,
  attempt: 1,
  maximumAttempts: 3,
  cancelRequested: false,
  image: { repository: 'acme/web/shop', digest, sizeBytes: 48_211_004 },
  cache: { hits: 7, misses: 2, degraded: false },
  failure: null,
  currency: 'USD',
  estimate: 12_000,
  cost: 1_840,
  createdAt: '2026-03-02T10:15:04.000Z',
  startedAt: '2026-03-02T10:15:05.000Z',
  finishedAt: '2026-03-02T10:16:37.000Z',
};

export const exampleQueuedBuild: Build = {
  ...exampleBuild,
  state: 'QUEUED',
  attempt: 0,
  image: null,
  cache: null,
  cost: null,
  startedAt: null,
  finishedAt: null,
};

const healthCheck = {
  path: '/healthz',
  intervalSeconds: 1,
  timeoutSeconds: 5,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  startPeriodSeconds: 10,
};
const rollout = { deadlineSeconds: 60, bakeSeconds: 10 };

export const exampleService: Service = {
  tenantId,
  name: 'shop',
  stableRevision: 4,
  previousRevision: 3,
  url: 'http://127.0.0.1:30412',
  createdAt: '2026-03-01T08:00:00.000Z',
  updatedAt: '2026-03-02T10:17:10.000Z',
};

export const exampleRevision: Revision = {
  tenantId,
  service: exampleService.name,
  number: 4,
  repository: 'acme/web/shop',
  digest,
  buildId: exampleBuild.id,
  environment: { LOG_LEVEL: 'info' },
  arguments: null,
  healthCheck,
  healthyAt: '2026-03-02T10:17:10.000Z',
  createdAt: '2026-03-02T10:16:50.000Z',
};

export const exampleDeployment: Deployment = {
  id: '3d2e9c1b-8f0a-4c57-b6de-5b8f1d2c3e33',
  tenantId,
  service: exampleService.name,
  revision: exampleRevision.number,
  kind: 'deploy',
  state: 'QUEUED',
  phase: 'PENDING',
  attempt: 0,
  rollout,
  message: null,
  evidence: null,
  supersededBy: null,
  currency: 'USD',
  estimate: 0,
  cost: null,
  createdAt: '2026-03-02T10:16:50.000Z',
  startedAt: null,
  finishedAt: null,
};

export const exampleRollback: Deployment = {
  ...exampleDeployment,
  id: 'f3b6a1d4-9d0c-4b7e-8a35-6c7d8e9f0a44',
  revision: 3,
  kind: 'rollback',
  message: 'checkout is slow since 4',
};

export const exampleAccount: Account = {
  tenantId,
  currency: 'USD',
  limit: 50_000_000,
  spent: 1_840,
  reserved: 12_000,
  periodStart: '2026-03-01T00:00:00.000Z',
  periodEnd: '2026-04-01T00:00:00.000Z',
};

export const exampleEndpoint: WebhookEndpoint = {
  id: '9a8b7c6d-5e4f-4a3b-9c2d-1e0f9a8b7c55',
  tenantId,
  url: 'https://hooks.example.com/cygni',
  description: null,
  eventTypes: [],
  disabledReason: null,
  secrets: [{ id: 'b2c3d4e5-f607-4819-8a2b-3c4d5e6f7a77', keyId: 'key', expiresAt: null }],
  version: 1,
  createdAt: '2026-03-02T10:00:00.000Z',
  updatedAt: '2026-03-02T10:00:00.000Z',
};

/** Of the right form, and of nobody. */
export const exampleSecret = `whsec_${'A'.repeat(43)}=`;

export const exampleDelivery: WebhookDelivery = {
  id: 'd4e5f607-1829-4a3b-8c4d-5e6f7a8b9c88',
  tenantId,
  endpointId: exampleEndpoint.id,
  eventId: 'e5f60718-293a-4b4c-9d5e-6f7a8b9c0d99',
  eventType: 'build.finished',
  state: 'DELIVERED',
  attempt: 1,
  nextAttemptAt: null,
  lastStatus: 204,
  lastError: null,
  createdAt: '2026-03-02T10:16:37.000Z',
  finishedAt: '2026-03-02T10:16:38.000Z',
};
