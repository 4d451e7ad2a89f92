import type { RequestListener } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import {
  type BuildPipeline,
  createMemoryArtifactStore,
  createMemoryQueue,
  createMeteredBudget,
  createPlatform,
  roles,
} from '@cygni/core';
import { createAuthenticator, createRouter, createTokenIssuer, scopes } from '@cygni/http';
import { createPostgresStore } from '@cygni/store-postgres';
import express from 'express';
import { generateKeyPair } from 'jose';
import { adapter, deployer, digest, registry } from '../../e2e/support/idle-adapters.ts';
import { poolSize, type Role, sourceId, tenant } from './protocol.ts';

const log = { debug() {}, info() {}, warn: console.warn, error: console.error };
const call = { signal: AbortSignal.timeout(60_000), log };
const identity = { issuer: 'bench', audience: 'bench' };
const algorithm = 'ES256';
const plenty = 1_000_000_000;

/** The API as production has it: signed tokens, rate limits, a budget, idempotency, durable storage. */
export async function serveCygni(
  role: Role,
): Promise<{ listener: RequestListener; token: string }> {
  const store = createPostgresStore({ url: role.databaseUrl, poolSize });
  const platform = createPlatform({
    store,
    queue: createMemoryQueue(),
    artifacts: createMemoryArtifactStore(),
    registry,
    pipeline: pipelineOf(role),
    deployer,
    budget: createMeteredBudget({ cap: Number.MAX_SAFE_INTEGER }),
    log,
  });
  await platform.open(AbortSignal.timeout(20_000));
  const source = { tenantId: tenant, id: sourceId, key: 'key', sizeBytes: 1, sha256: 'sha256' };
  await store.addSource(source, null, call);
  if (role.chatter) void platform.run({ roles, signal: platform.stopping });

  const keys = await generateKeyPair(algorithm);
  const { publicKey: key, privateKey } = keys;
  const authenticator = createAuthenticator({
    issuers: [{ ...identity, key, algorithms: [algorithm] }],
    log,
  });
  const tokens = createTokenIssuer({ ...identity, key: privateKey, algorithm });
  const rateLimits = { windowSeconds: 60, perTenant: plenty, perToken: plenty };
  return {
    listener: express().use(createRouter(platform, { authenticator, log, rateLimits })),
    token: await tokens.issue({
      tenantId: tenant,
      subject: 'bench',
      scopes,
      expiresInSeconds: 3_600,
    }),
  };
}

/** Builds do nothing but print. */
function pipelineOf({ chatter }: Role): BuildPipeline {
  return {
    ...adapter,
    supports: { run: true, cache: false, adopt: false },
    async start() {
      const ended = Promise.withResolvers<void>();
      return {
        async *logs(_options, { signal }) {
          const tickMs = 50;
          const ticks = chatter ? (chatter.seconds * 1_000) / tickMs : 0;
          const lines = chatter ? (chatter.linesPerSecond * tickMs) / 1_000 : 0;
          let position = 0;
          for (let tick = 0; tick < ticks; tick += 1) {
            await setTimeout(tickMs, undefined, { signal });
            for (let line = 0; line < lines; line += 1) {
              position += 1;
              const time = new Date().toISOString();
              yield {
                position,
                time,
                text: `line ${tick}.${line} of a build that has much to tell`,
              };
            }
          }
          ended.resolve();
        },
        async wait() {
          await ended.promise;
          return { status: 'succeeded', digest, sizeBytes: 1, cache: null };
        },
        async cancel() {
          ended.resolve();
        },
      };
    },
  };
}
