import { join } from 'node:path';
import { createS3ArtifactStore } from '@cygni/artifacts-s3';
import { createLocalPipeline } from '@cygni/builder-local';
import {
  createDiskArtifactStore,
  createMemoryQueue,
  createMeteredBudget,
  createPlatform,
  type Logger,
  type Platform,
  type Queue,
} from '@cygni/core';
import { createLocalDeployer } from '@cygni/deployer-local';
import { createRedisQueue } from '@cygni/queue-redis';
import {
  createDockerCredentials,
  createImageClient,
  createOciRegistry,
  createRegistryServer,
  type RegistryServer,
} from '@cygni/registry-oci';
import { createPostgresStore } from '@cygni/store-postgres';
import type { Access } from './access.ts';
import type { Configuration } from './configuration.ts';

export interface Composition {
  readonly platform: Platform;
  readonly registryServer: RegistryServer;
  /** Which adapter serves each contract; asked once all are open, for some choose only then. */
  describeAdapters(): Readonly<Record<string, string>>;
}

/** Chooses the adapters and puts them together. Does no I/O. */
export function compose(
  configuration: Configuration,
  options: {
    readonly databaseUrl: string;
    readonly access: Access;
    readonly port: number;
    readonly log: Logger;
  },
): Composition {
  const { dataDirectory } = configuration;
  const { access, log } = options;
  const images = createImageClient({ mirrors: mirrorsOf(configuration) });
  const registryServer = createRegistryServer({
    directory: join(dataDirectory, 'registry'),
    authorize: access.authorizeImage,
  });
  const adapters = {
    store: createPostgresStore({ url: options.databaseUrl }),
    queue: createQueue(configuration),
    artifacts: configuration.s3
      ? createS3ArtifactStore(configuration.s3)
      : createDiskArtifactStore({ directory: join(dataDirectory, 'artifacts') }),
    registry: createOciRegistry({
      host: `127.0.0.1:${options.port}`,
      insecure: true,
      credentials: access.imageCredentials,
      client: images,
    }),
    pipeline: createLocalPipeline({
      engine: configuration.buildEngine,
      images,
      directory: join(dataDirectory, 'builds'),
    }),
    deployer: createLocalDeployer({
      runtime: configuration.deployRuntime,
      images,
      directory: join(dataDirectory, 'services'),
    }),
    budget: createMeteredBudget({ cap: configuration.budgetCap }),
  };
  const platform = createPlatform({
    ...adapters,
    settings: { buildConcurrency: configuration.buildConcurrency, leaseSeconds: 10 },
    log,
  });
  return {
    platform,
    registryServer,
    describeAdapters() {
      const names = Object.entries(adapters).map(([contract, { name }]) => [contract, name]);
      return Object.fromEntries(names);
    },
  };
}

function createQueue({ redisUrl, redisCluster }: Configuration): Queue {
  return redisUrl === undefined
    ? createMemoryQueue()
    : createRedisQueue({ url: redisUrl, cluster: redisCluster });
}

/** By registry. What `docker login` left for a mirror's host opens the mirror. */
function mirrorsOf({ registryMirrors }: Configuration) {
  const byRegistry = Map.groupBy(registryMirrors, ({ registry }) => registry);
  return Object.fromEntries(
    [...byRegistry].map(([registry, mirrors]) => [
      registry,
      mirrors.map(({ url }) => ({
        url,
        credentials: createDockerCredentials(new URL(url).host),
      })),
    ]),
  );
}
