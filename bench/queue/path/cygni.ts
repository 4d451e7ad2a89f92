import type { RequestListener } from 'node:http';
import {
  type Adapter,
  type BuildPipeline,
  CygniError,
  createMemoryArtifactStore,
  createMeteredBudget,
  createPlatform,
  type Deployer,
  type Registry,
  SPEC_VERSION,
  type Store,
} from '@cygni/core';
import { type Authenticator, createRouter, scopes } from '@cygni/http';
import { createRedisQueue } from '@cygni/queue-redis';
import { createPostgresStore } from '@cygni/store-postgres';
import express from 'express';
import { now, poolSize, type Report, type Role } from './protocol.ts';

const log = { debug() {}, info() {}, warn: console.warn, error: console.error };
const digest = `sha256:${'0'.repeat(64)}`;
const adapter: Adapter = {
  specVersion: SPEC_VERSION,
  name: 'nothing',
  async open() {},
  async close() {},
};

/** The platform as production puts it together, but for a pipeline and a registry that do nothing. */
export async function runCygni(
  { part, redisUrl, databaseUrl, prefix, concurrency }: Role,
  report: (said: Report) => void,
): Promise<RequestListener | null> {
  const platform = createPlatform({
    store: reporting(createPostgresStore({ url: databaseUrl, poolSize }), report),
    queue: createRedisQueue({ url: redisUrl, prefix }),
    artifacts: createMemoryArtifactStore(),
    registry,
    pipeline: pipelineOf(report),
    deployer,
    budget: createMeteredBudget({
      cap: 10 ** 15,
      buildMinute: { small: 1_000, medium: 2_000, large: 4_000 },
      storedGibibyte: 1_000,
    }),
    settings: {
      buildConcurrency: concurrency,
      maximumRunningBuildsPerTenant: 100,
      maximumDispatchedBuilds: 1_000,
    },
    log,
  });
  await platform.open(AbortSignal.timeout(20_000));
  const roles = part === 'api' ? (['relay'] as const) : (['builds'] as const);
  void platform.run({ roles, signal: platform.stopping });
  return part === 'api' ? express().use(createRouter(platform, { authenticator, log })) : null;
}

function reporting(store: Store, report: (said: Report) => void): Store {
  return {
    ...store,
    async finishBuild(fence, finish, call) {
      const kept = await store.finishBuild(fence, finish, call);
      report({ is: 'finished', at: now() });
      return kept;
    },
  };
}

function pipelineOf(report: (said: Report) => void): BuildPipeline {
  return {
    ...adapter,
    supports: { run: true, cache: false, adopt: false },
    async start() {
      report({ is: 'started', at: now() });
      return {
        async *logs() {},
        wait: async () => ({ status: 'succeeded', digest, sizeBytes: 1, cache: null }),
        async cancel() {},
      };
    },
  };
}

const registry: Registry = {
  ...adapter,
  host: 'registry.test',
  insecure: false,
  async ensureRepository() {},
  async credentials() {
    return { username: 'cygni', password: 'cygni', expiresAt: null, reach: 'repository' };
  },
  async resolve() {
    return { digest, mediaType: 'x', sizeBytes: 1, platforms: [] };
  },
  async tag() {},
  async listTags() {
    return [];
  },
  async deleteImage() {},
};

async function refuse(): Promise<never> {
  throw new CygniError('unsupported', 'nothing is deployed here');
}

const deployer: Deployer = {
  ...adapter,
  supports: { split: false },
  apply: refuse,
  observe: refuse,
  route: refuse,
  tailLogs: refuse,
  remove: refuse,
};

/** The token is the tenant's name. */
const authenticator: Authenticator = {
  async verify(token) {
    return {
      tenantId: token,
      subject: token,
      scopes: new Set(scopes),
      repository: null,
      expiresAt: Number.MAX_SAFE_INTEGER,
    };
  },
};
