import { join } from 'node:path';
import { createS3ArtifactStore } from '@cygni/artifacts-s3';
import { createKanikoPipeline } from '@cygni/builder-kaniko';
import { createLocalPipeline } from '@cygni/builder-local';
import {
  createDiskArtifactStore,
  createMemoryQueue,
  createMeteredBudget,
  createPlatform,
  createSealedStore,
  type Logger,
  type Platform,
  type Queue,
} from '@cygni/core';
import { createLocalDeployer } from '@cygni/deployer-local';
import { createRedisQueue } from '@cygni/queue-redis';
import { createEcrRegistry } from '@cygni/registry-ecr';
import {
  createDockerCredentials,
  createImageClient,
  createOciRegistry,
  createRegistryServer,
  type OciRegistryOptions,
  type RegistryServer,
} from '@cygni/registry-oci';
import { createPostgresStore } from '@cygni/store-postgres';
import type { Access } from './access.ts';
import { type Configuration, formatAddress } from './configuration.ts';
import type { NamedKey } from './keys.ts';
import { createOutbound } from './outbound.ts';

export interface Composition {
  readonly platform: Platform;
  /** Null: the registry is somewhere else. */
  readonly registryServer: RegistryServer | null;
  /** Which adapter serves each contract; asked once all are open, for some choose only then. */
  describeAdapters(): Readonly<Record<string, string>>;
}

/** Chooses the adapters and puts them together. Does no I/O. */
export function compose(
  configuration: Configuration,
  options: {
    readonly databaseUrl: string;
    readonly access: Access;
    readonly webhookKeys: readonly NamedKey[];
    readonly sealingKeys: readonly NamedKey[];
    readonly port: number;
    readonly log: Logger;
  },
): Composition {
  const { dataDirectory } = configuration;
  const { access, log } = options;
  const images = createImageClient({ mirrors: mirrorsOf(configuration) });
  const registryServer = configuration.ecr
    ? null
    : createRegistryServer({
        directory: join(dataDirectory, 'registry'),
        authorize: access.authorizeImage,
        log,
      });
  const registry = configuration.ecr
    ? createEcrRegistry(configuration.ecr)
    : createOciRegistry({ ...locateRegistry(configuration, options), client: images });
  const adapters = {
    store: createSealedStore(createPostgresStore({ url: options.databaseUrl }), {
      keys: options.sealingKeys,
    }),
    queue: createQueue(configuration),
    artifacts: configuration.s3
      ? createS3ArtifactStore(configuration.s3)
      : createDiskArtifactStore({ directory: join(dataDirectory, 'artifacts') }),
    registry,
    pipeline: configuration.kaniko
      ? createKanikoPipeline({ ...configuration.kaniko, registry })
      : createLocalPipeline({
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
  const outbound = createOutbound(configuration, options.webhookKeys);
  const platform = createPlatform({
    ...adapters,
    ...outbound,
    settings: {
      buildConcurrency: configuration.buildConcurrency,
      maximumRunningBuildsPerTenant: configuration.buildsPerTenant,
      leaseSeconds: 10,
    },
    log,
  });
  return {
    platform,
    registryServer,
    describeAdapters() {
      const names = Object.entries(adapters).map(([contract, { name }]) => [contract, name]);
      const notifiers = outbound.notifiers.map(({ name }) => name).join(', ');
      return { ...Object.fromEntries(names), notifiers, sources: outbound.sourceFetcher.name };
    },
  };
}

function createQueue({ redisUrl, redisCluster }: Configuration): Queue {
  return redisUrl === undefined
    ? createMemoryQueue()
    : createRedisQueue({ url: redisUrl, cluster: redisCluster });
}

/** The registry of REGISTRY_URL, else the embedded one at the address that builders reach. */
function locateRegistry(
  { registry, advertisedHost }: Configuration,
  { access, port }: { readonly access: Access; readonly port: number },
): Pick<OciRegistryOptions, 'host' | 'insecure' | 'credentials'> {
  if (!registry) {
    return {
      host: formatAddress(advertisedHost, port),
      insecure: true,
      credentials: access.imageCredentials,
    };
  }
  const { host, insecure, username, password } = registry;
  if (username === '') return { host, insecure };
  const credentials = { username, password, expiresAt: null, reach: 'account' as const };
  return { host, insecure, credentials: () => credentials };
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
