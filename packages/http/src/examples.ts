import type { Account, Build, Deployment, Revision, Service, Source } from '@cygni/core';

/** Resources as the documentation shows them; the tests put the same ones into a store and ask for them. */

const tenantId = 'acme';
const digest = `sha256:${'5f'.repeat(32)}`;

export const exampleSource: Source = {
  id: '0b9d4cbe-6e6b-4d3f-9c54-1f6f0e4a8a11',
  tenantId,
  key: 'acme/sources/0b9d4cbe-6e6b-4d3f-9c54-1f6f0e4a8a11.tar.gz',
  sizeBytes: 18_233,
  sha256: 'a3'.repeat(32),
  createdAt: '2026-03-02T10:15:00.000Z',
};

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
