import type { RequestListener } from 'node:http';
import {
  type BuildPipeline,
  createMemoryArtifactStore,
  createMeteredBudget,
  createPlatform,
  type Platform,
  type PlatformSettings,
  type Store,
} from '@cygni/core';
import { type Authenticator, createRouter, scopes } from '@cygni/http';
import { createRedisQueue } from '@cygni/queue-redis';
import { createPostgresStore } from '@cygni/store-postgres';
import express from 'express';
import { adapter, deployer, digest, registry } from '../../../e2e/support/idle-adapters.ts';
import { now, poolSize, type Report, type Role } from './protocol.ts';

const log = { debug() {}, info() {}, warn: console.warn, error: console.error };

/** The platform as production puts it together, but for a pipeline and a registry that do nothing. */
export async function runCygni(
  role: Role,
  report: (said: Report) => void,
): Promise<RequestListener | null> {
  const platform = createIdlePlatform(
    role,
    {
      buildConcurrency: role.concurrency,
      maximumRunningBuildsPerTenant: 100,
      maximumDispatchedBuilds: 1_000,
    },
    report,
  );
  await platform.open(AbortSignal.timeout(20_000));
  const isApi = role.part === 'api';
  void platform.run({ roles: isApi ? ['relay'] : ['builds'], signal: platform.stopping });
  return isApi ? express().use(createRouter(platform, { authenticator, log })) : null;
}

/** Its builds do nothing. */
export function createIdlePlatform(
  { redisUrl, databaseUrl, prefix }: Pick<Role, 'redisUrl' | 'databaseUrl' | 'prefix'>,
  settings: Partial<PlatformSettings>,
  report: (said: Report) => void,
): Platform {
  return createPlatform({
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
    settings,
    log,
  });
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
