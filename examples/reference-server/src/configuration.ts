import { resolve } from 'node:path';
import type { S3ArtifactStoreOptions } from '@cygni/artifacts-s3';
import type { EcrRegistryOptions } from '@cygni/registry-ecr';
import { z } from 'zod';
import { type KanikoConfiguration, kanikoConfiguration, kanikoVariables } from './kaniko.ts';
import {
  type OutboundConfiguration,
  outboundConfiguration,
  outboundVariables,
} from './outbound.ts';

const microUnits = z.coerce.number().int().nonnegative();

const hostSchema = z.union([z.ipv4(), z.ipv6(), z.hostname()]);

const jsonObject = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'must be JSON' });
      return z.NEVER;
    }
  })
  .pipe(z.record(z.string(), z.json(), 'must be a JSON object'));

/** `docker.io=https://mirror.example/hub`, several with commas between them. */
const mirrorsSchema = z
  .string()
  .default('')
  .transform((text) => text.split(/\s*,\s*/).filter((each) => each !== ''))
  .pipe(
    z.array(
      z
        .string()
        .regex(
          /^[A-Za-z0-9.:[\]-]+=https?:\/\/[^@?#]+$/,
          'HOST=URL, several with commas between them',
        )
        .transform((each) => ({
          registry: each.slice(0, each.indexOf('=')),
          url: each.slice(each.indexOf('=') + 1),
        })),
    ),
  );

const environmentSchema = z.object({
  CYGNI_DATA_DIR: z.string().min(1).default('.cygni'),
  HOST: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** Where builders and nodes reach this server. Absent: HOST, or loopback where that means all addresses. */
  ADVERTISED_HOST: hostSchema.optional(),
  /** Absent: the embedded registry. */
  REGISTRY_URL: z
    .url({ protocol: /^https?$/ })
    .refine(isOrigin, 'no path')
    .optional(),
  REGISTRY_USERNAME: z.string().optional(),
  REGISTRY_PASSWORD: z.string().optional(),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Absent: an embedded PostgreSQL in the data directory. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  CYGNI_BUILDER: z.enum(['local', 'kaniko']).default('local'),
  /** Absent: artifacts on disk, in the data directory. */
  S3_BUCKET: z.string().min(1).optional(),
  S3_PREFIX: z.string().min(1).optional(),
  /** Absent: AWS. Credentials and the region come from where every AWS client finds them. */
  S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  S3_REGION: z.string().min(1).optional(),
  S3_FORCE_PATH_STYLE: z.stringbool().optional(),
  S3_KMS_KEY_ID: z.string().min(1).optional(),
  S3_CONDITIONAL_WRITES: z.stringbool().default(true),
  /** Present: a rule for it is kept in the bucket. */
  S3_ABORT_INCOMPLETE_UPLOADS_DAYS: z.coerce.number().int().min(1).max(3_650).optional(),
  /** Absent: a registry of its own, in the data directory. */
  ECR_REGISTRY: z
    .string()
    .regex(
      /^\d{12}\.dkr[.-]ecr[a-z0-9.-]+$/,
      'must be <account>.dkr.ecr.<region>.amazonaws.com, or what AWS calls it elsewhere',
    )
    .optional(),
  /** Absent: AWS's own for the region. */
  ECR_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  /** The rest is for repositories that are created. */
  ECR_IMMUTABLE_TAGS: z.stringbool().optional(),
  ECR_SCAN_ON_PUSH: z.stringbool().optional(),
  ECR_KMS_KEY_ID: z.string().min(1).optional(),
  ECR_LIFECYCLE_POLICY: jsonObject.optional(),
  ECR_REPOSITORY_POLICY: jsonObject.optional(),
  /** Absent: a queue inside the process. */
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  REDIS_CLUSTER: z.stringbool().default(false),
  REGISTRY_MIRRORS: mirrorsSchema,
  BUILD_ENGINE: z.enum(['auto', 'docker', 'podman', 'buildah', 'assemble']).default('auto'),
  DEPLOY_RUNTIME: z.enum(['auto', 'docker', 'podman', 'namespaces']).default('auto'),
  BUILD_CONCURRENCY: z.coerce.number().int().min(1).max(100).default(2),
  BUILDS_PER_TENANT: z.coerce.number().int().min(1).max(1000).default(4),
  /** Micro-units a tenant and month; absent: no cap until one is set over the API. */
  BUDGET_CAP: microUnits.optional(),
});

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
  readonly advertisedHost: string;
  readonly registry: ExternalRegistry | undefined;
  readonly logLevel: string;
  readonly databaseUrl: string | undefined;
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
}

export type ConfigurationResult =
  | { readonly ok: true; readonly configuration: Configuration }
  /** One line for each variable that was refused; it names the variable and never tells its value. */
  | { readonly ok: false; readonly problems: readonly string[] };

export function readConfiguration(environment: NodeJS.ProcessEnv): ConfigurationResult {
  // A variable that is set to nothing counts as not set.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(given);
  const kaniko = given.CYGNI_BUILDER === 'kaniko' ? kanikoVariables.safeParse(given) : undefined;
  const outbound = outboundVariables.safeParse(given);
  const issues = [
    ...(parsed.error?.issues ?? []),
    ...(kaniko?.error?.issues ?? []),
    ...(outbound.error?.issues ?? []),
  ];
  if (!parsed.success || !outbound.success || issues.length > 0) {
    return {
      ok: false,
      problems: issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`),
    };
  }
  const variables = parsed.data;
  return {
    ok: true,
    configuration: {
      dataDirectory: resolve(variables.CYGNI_DATA_DIR),
      host: variables.HOST,
      port: variables.PORT,
      advertisedHost: variables.ADVERTISED_HOST ?? reachable(variables.HOST),
      registry: externalRegistry(variables),
      logLevel: variables.LOG_LEVEL,
      databaseUrl: variables.DATABASE_URL,
      s3: s3Options(variables),
      ecr: ecrOptions(variables),
      redisUrl: variables.REDIS_URL,
      redisCluster: variables.REDIS_CLUSTER,
      kaniko: kaniko?.data && kanikoConfiguration(kaniko.data),
      outbound: outboundConfiguration(outbound.data),

      registryMirrors: variables.REGISTRY_MIRRORS,
      buildEngine: variables.BUILD_ENGINE,
      deployRuntime: variables.DEPLOY_RUNTIME,
      buildConcurrency: variables.BUILD_CONCURRENCY,
      buildsPerTenant: variables.BUILDS_PER_TENANT,
      budgetCap: variables.BUDGET_CAP ?? null,
    },
  };
}

function isOrigin(url: string): boolean {
  const parsed = new URL(url);
  return parsed.href === `${parsed.origin}/`;
}

function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function externalRegistry(
  variables: z.output<typeof environmentSchema>,
): ExternalRegistry | undefined {
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

function s3Options(
  variables: z.output<typeof environmentSchema>,
): S3ArtifactStoreOptions | undefined {
  if (variables.S3_BUCKET === undefined) return undefined;
  const {
    S3_PREFIX: prefix,
    S3_REGION: region,
    S3_ENDPOINT: endpoint,
    S3_FORCE_PATH_STYLE: forcePathStyle,
    S3_KMS_KEY_ID: keyId,
    S3_ABORT_INCOMPLETE_UPLOADS_DAYS: abortIncompleteUploadsAfterDays,
  } = variables;
  return {
    bucket: variables.S3_BUCKET,
    conditionalWrites: variables.S3_CONDITIONAL_WRITES,
    ...(prefix && { prefix }),
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(forcePathStyle !== undefined && { forcePathStyle }),
    ...(keyId && { serverSideEncryption: { algorithm: 'aws:kms', keyId } }),
    ...(abortIncompleteUploadsAfterDays && { lifecycle: { abortIncompleteUploadsAfterDays } }),
  };
}

function ecrOptions(variables: z.output<typeof environmentSchema>): Configuration['ecr'] {
  if (variables.ECR_REGISTRY === undefined) return undefined;
  const {
    ECR_ENDPOINT: endpoint,
    ECR_IMMUTABLE_TAGS: immutable,
    ECR_SCAN_ON_PUSH: scanOnPush,
    ECR_KMS_KEY_ID: keyId,
    ECR_LIFECYCLE_POLICY: lifecyclePolicy,
    ECR_REPOSITORY_POLICY: policy,
  } = variables;
  return {
    host: variables.ECR_REGISTRY,
    ...(endpoint && { endpoint }),
    repositories: {
      ...(immutable !== undefined && { tags: immutable ? 'immutable' : 'mutable' }),
      ...(scanOnPush !== undefined && { scanOnPush }),
      ...(keyId && { encryption: { type: 'KMS', keyId } }),
      ...(lifecyclePolicy && { lifecyclePolicy }),
      ...(policy && { policy }),
    },
  };
}
