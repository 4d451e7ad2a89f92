import { resolve } from 'node:path';
import type { S3ArtifactStoreOptions } from '@cygni/artifacts-s3';
import { z } from 'zod';

const microUnits = z.coerce.number().int().nonnegative();

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
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Absent: an embedded PostgreSQL in the data directory. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
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
  /** Absent: a queue inside the process. */
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  REDIS_CLUSTER: z.stringbool().default(false),
  REGISTRY_MIRRORS: mirrorsSchema,
  BUILD_ENGINE: z.enum(['auto', 'docker', 'podman', 'buildah', 'assemble']).default('auto'),
  DEPLOY_RUNTIME: z.enum(['auto', 'docker', 'podman', 'namespaces']).default('auto'),
  BUILD_CONCURRENCY: z.coerce.number().int().min(1).max(100).default(2),
  /** Micro-units a tenant and month; absent: no cap until one is set over the API. */
  BUDGET_CAP: microUnits.optional(),
});

export interface Configuration {
  readonly dataDirectory: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly logLevel: string;
  readonly databaseUrl: string | undefined;
  /** Undefined: artifacts on disk. */
  readonly s3: S3ArtifactStoreOptions | undefined;
  readonly redisUrl: string | undefined;
  readonly redisCluster: boolean;
  /** Where base images are looked for before their own registry, in this order. */
  readonly registryMirrors: readonly { readonly registry: string; readonly url: string }[];
  readonly buildEngine: 'auto' | 'docker' | 'podman' | 'buildah' | 'assemble';
  readonly deployRuntime: 'auto' | 'docker' | 'podman' | 'namespaces';
  readonly buildConcurrency: number;
  readonly budgetCap: number | null;
}

export type ConfigurationResult =
  | { readonly ok: true; readonly configuration: Configuration }
  /** One line for each variable that was refused; it names the variable and never tells its value. */
  | { readonly ok: false; readonly problems: readonly string[] };

export function readConfiguration(environment: NodeJS.ProcessEnv): ConfigurationResult {
  // A variable that is set to nothing counts as not set.
  const present = Object.entries(environment).filter(([, value]) => value !== '');
  const parsed = environmentSchema.safeParse(Object.fromEntries(present));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join('.')}: ${issue.message}`,
    );
    return { ok: false, problems };
  }
  const variables = parsed.data;
  return {
    ok: true,
    configuration: {
      dataDirectory: resolve(variables.CYGNI_DATA_DIR),
      host: variables.HOST,
      port: variables.PORT,
      logLevel: variables.LOG_LEVEL,
      databaseUrl: variables.DATABASE_URL,
      s3: s3Options(variables),
      redisUrl: variables.REDIS_URL,
      redisCluster: variables.REDIS_CLUSTER,
      registryMirrors: variables.REGISTRY_MIRRORS,
      buildEngine: variables.BUILD_ENGINE,
      deployRuntime: variables.DEPLOY_RUNTIME,
      buildConcurrency: variables.BUILD_CONCURRENCY,
      budgetCap: variables.BUDGET_CAP ?? null,
    },
  };
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
