import { resolve } from 'node:path';
import type { S3ArtifactStoreOptions } from '@cygni/artifacts-s3';
import type { TrustedIssuer } from '@cygni/http';
import type { EcrRegistryOptions } from '@cygni/registry-ecr';
import { ecrOptions, s3Options } from './aws.ts';
import { type Exposure, exposureConfiguration } from './exposure.ts';
import { type KanikoConfiguration, kanikoConfiguration, kanikoVariables } from './kaniko.ts';
import { type NamedKey, nameKey } from './keys.ts';
import { type OutboundConfiguration, outboundConfiguration } from './outbound.ts';
import { readEnvironment } from './secret-files.ts';
import { environmentSchema, type Variables } from './variables.ts';

/** All that is read of the environment. */
export const variableSchemas = { ...kanikoVariables.shape, ...environmentSchema.shape };

interface ExternalRegistry {
  /** Host with port. */
  readonly host: string;
  readonly insecure: boolean;
  readonly username: string;
  readonly password: string;
}

export interface Configuration {
  readonly dataDirectory: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Undefined: no port of its own. 0: any free one. */
  readonly metricsPort: number | undefined;
  /** Metrics are on `port` too. */
  readonly hasPublicMetrics: boolean;
  readonly advertisedHost: string;
  readonly registry: ExternalRegistry | undefined;
  /** Between two garbage collections of the embedded registry. */
  readonly registryGarbageSeconds: number;
  /** Besides the server itself. */
  readonly trustedIssuers: readonly TrustedIssuer[];
  readonly logLevel: string;
  /** What must never be shown: passwords, and addresses that hold one. */
  readonly secrets: readonly string[];
  readonly databaseUrl: string | undefined;
  /** What tenants' values are sealed with. Undefined: a key in the data directory. */
  readonly sealingKeys: readonly NamedKey[] | undefined;
  /** Undefined: artifacts on disk. */
  readonly s3: S3ArtifactStoreOptions | undefined;
  /** Undefined: the embedded registry. */
  readonly ecr: Omit<EcrRegistryOptions, 'images'> | undefined;
  readonly redisUrl: string | undefined;
  readonly redisCluster: boolean;
  /** Builds are Jobs on Kubernetes; absent: they run on this machine. */
  readonly kaniko: KanikoConfiguration | undefined;
  /** What the server connects to on behalf of its users. */
  readonly outbound: OutboundConfiguration;

  /** Where base images are looked for before their own registry, in this order. */
  readonly registryMirrors: readonly { readonly registry: string; readonly url: string }[];
  readonly buildEngine: 'auto' | 'docker' | 'podman' | 'buildah' | 'assemble';
  readonly deployRuntime: 'auto' | 'docker' | 'podman' | 'namespaces';
  readonly buildConcurrency: number;
  readonly buildsPerTenant: number;
  readonly budgetCap: number | null;
  readonly exposure: Exposure;
}

export type ConfigurationResult =
  | { readonly ok: true; readonly configuration: Configuration }
  /** One line for each variable that was refused; it names the variable and never tells its value. */
  | { readonly ok: false; readonly problems: readonly string[] };

export function readConfiguration(environment: NodeJS.ProcessEnv): ConfigurationResult {
  const { values, problems } = readEnvironment(environment, Object.keys(variableSchemas));
  const parsed = environmentSchema.safeParse(values);
  const kaniko = values.CYGNI_BUILDER === 'kaniko' ? kanikoVariables.safeParse(values) : undefined;
  const issues = [...(parsed.error?.issues ?? []), ...(kaniko?.error?.issues ?? [])];
  if (!parsed.success || issues.length + problems.length > 0) {
    const refused = issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    return { ok: false, problems: [...problems, ...refused] };
  }
  const variables = parsed.data;
  return {
    ok: true,
    configuration: {
      dataDirectory: resolve(variables.CYGNI_DATA_DIR),
      host: variables.HOST,
      port: variables.PORT,
      metricsPort: variables.METRICS_PORT,
      hasPublicMetrics: variables.METRICS_PORT === undefined && variables.NODE_ENV !== 'production',
      advertisedHost: variables.ADVERTISED_HOST ?? reachable(variables.HOST),
      registry: externalRegistry(variables),
      registryGarbageSeconds: variables.REGISTRY_GARBAGE_SECONDS,
      trustedIssuers: variables.CYGNI_ISSUERS ?? [],
      logLevel: variables.LOG_LEVEL,
      secrets: secretsOf(values),
      databaseUrl: variables.DATABASE_URL,
      sealingKeys: variables.SEALING_KEYS?.map((text) => nameKey('sealing', text)),
      s3: s3Options(variables),
      ecr: ecrOptions(variables),
      redisUrl: variables.REDIS_URL,
      redisCluster: variables.REDIS_CLUSTER,
      kaniko: kaniko?.data && kanikoConfiguration(kaniko.data),
      outbound: outboundConfiguration(variables),

      registryMirrors: variables.REGISTRY_MIRRORS,
      buildEngine: variables.BUILD_ENGINE,
      deployRuntime: variables.DEPLOY_RUNTIME,
      buildConcurrency: variables.BUILD_CONCURRENCY ?? (kaniko ? 16 : 2),
      buildsPerTenant: variables.BUILDS_PER_TENANT,
      budgetCap: variables.BUDGET_CAP ?? null,
      exposure: exposureConfiguration(variables),
    },
  };
}

function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function externalRegistry(variables: Variables): ExternalRegistry | undefined {
  if (variables.REGISTRY_URL === undefined) return undefined;
  const { host, protocol } = new URL(variables.REGISTRY_URL);
  return {
    host,
    insecure: protocol === 'http:',
    username: variables.REGISTRY_USERNAME ?? '',
    password: variables.REGISTRY_PASSWORD ?? '',
  };
}

/** Host with port, an IPv6 address in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function secretsOf(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(variableSchemas)
    .filter(([, schema]) => schema.meta()?.secret === true)
    .flatMap(([name]) => values[name] ?? [])
    .flatMap((value) => {
      const password = URL.parse(value)?.password;
      return password ? [value, password, decode(password)] : [value];
    });
}

/** Never throws, whatever is in an address. */
function decode(password: string): string {
  return new URLSearchParams(`is=${password.replaceAll('+', '%2B')}`).get('is') ?? password;
}
