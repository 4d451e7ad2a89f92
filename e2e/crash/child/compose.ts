import {
  createDiskArtifactStore,
  createPlatform,
  type Logger,
  type Platform,
  type Queue,
} from '@cygni/core';
import { createRedisQueue } from '@cygni/queue-redis';
import { createPostgresStore, type Pool } from '@cygni/store-postgres';
import pg from 'pg';
import { deployer as idleDeployer } from '../../support/idle-adapters.ts';
import type { Configuration } from '../messages.ts';
import { pathsIn } from '../paths.ts';
import type { Random } from '../random.ts';
import type { Trace } from '../trace.ts';
import { createBudget, maximumAttempts } from './budget.ts';
import {
  failingArtifacts,
  failingPipeline,
  failingPool,
  failingRegistry,
  failingStore,
} from './failing-adapters.ts';
import { failingQueue } from './failing-queue.ts';
import type { Faults } from './faults.ts';
import { withoutFence } from './sabotage.ts';
import { createScriptedPipeline } from './scripted-pipeline.ts';
import { createScriptedRegistry } from './scripted-registry.ts';
import { traceStore } from './traced-store.ts';

const poolSize = 4;
const connectionTimeoutMs = 2_000;

export interface Parts {
  readonly trace: Trace;
  readonly faults: Faults;
  readonly random: Random;
  readonly log: Logger;
}

/** The platform as production puts it together, each adapter in a wrapper that fails on order. */
export function compose(
  configuration: Configuration,
  { trace, faults, random, log }: Parts,
): { readonly platform: Platform; closePool(): Promise<void> } {
  const paths = pathsIn(configuration.directory);
  const pool = createPool(configuration, faults);
  const store = createPostgresStore({
    connectionTimeoutMs,
    ...(pool ? { pool: pool.wrapped } : { url: configuration.databaseUrl, poolSize }),
  });
  const platform = createPlatform({
    store: failingStore(traceStore(store, trace), faults),
    queue: createQueue(configuration.redisUrl, faults, random),
    artifacts: failingArtifacts(createDiskArtifactStore({ directory: paths.artifacts }), faults),
    registry: failingRegistry(createScriptedRegistry(paths.images), faults),
    pipeline: failingPipeline(
      createScriptedPipeline({ images: paths.images, trace, faults, random }),
      faults,
    ),
    deployer: idleDeployer,
    budget: createBudget(),
    settings: {
      leaseSeconds: configuration.leaseSeconds,
      buildConcurrency: 6,
      maximumAttempts,
      retryDelayMs: 50,
      maximumImageBytes: 1024 ** 2,
      relayIntervalMs: 50,
      sweepIntervalSeconds: 0.4,
      queuedSeconds: 1,
    },
    log,
  });
  return { platform, closePool: async () => pool?.close() };
}

/** Redelivers soon: a process that is stopped for a second is taken for dead. */
function createQueue(url: string, faults: Faults, random: Random): Queue {
  return failingQueue(createRedisQueue({ url, redeliverySeconds: 1 }), url, faults, random);
}

/** Relays and sweepers borrow a pool that can be looked into; the others have the store make its own. */
function createPool(
  { role, databaseUrl, sabotage }: Configuration,
  faults: Faults,
): { readonly wrapped: Pool; close(): Promise<void> } | null {
  const lookedInto = role === 'relay' || role === 'sweeper';
  if (!lookedInto && sabotage !== 'fence') return null;
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: poolSize,
    connectionTimeoutMillis: connectionTimeoutMs,
    statement_timeout: 15_000,
    lock_timeout: 5_000,
  });
  pool.on('connect', (client) => client.on('error', () => {}));
  const failing = failingPool(pool, faults);
  return {
    wrapped: sabotage === 'fence' ? withoutFence(failing) : failing,
    close: () => pool.end(),
  };
}
