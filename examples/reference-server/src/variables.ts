import { foreignIssuersSchema } from '@cygni/http';
import { z } from 'zod';
import { ecrVariables, s3Variables } from './aws.ts';
import { exposureVariables } from './exposure.ts';
import { json } from './json.ts';
import { keyListSchema } from './keys.ts';
import { outboundVariables } from './outbound.ts';

const hostSchema = z.union([z.ipv4(), z.ipv6(), z.hostname()]);
const portSchema = z.coerce.number().int().min(0).max(65_535);

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

/** What is read of the environment. `secret`: its value is never shown. */
export const environmentSchema = z.object({
  ...exposureVariables.shape,
  ...outboundVariables.shape,
  CYGNI_DATA_DIR: z
    .string()
    .min(1)
    .default('.cygni')
    .meta({ description: 'where the server keeps what is not kept elsewhere' }),
  HOST: z
    .union([z.ipv4(), z.ipv6()])
    .default('127.0.0.1')
    .meta({ description: 'the address that is listened on' }),
  PORT: portSchema.default(8080).meta({ description: 'the port of the API; 0: any free one' }),
  METRICS_PORT: portSchema.optional().meta({
    description: 'a port of its own for /metrics, which is then not on PORT; 0: any free one',
  }),
  NODE_ENV: z
    .string()
    .optional()
    .meta({ description: 'production: without METRICS_PORT there are no metrics' }),
  ADVERTISED_HOST: hostSchema.optional().meta({
    description: 'where builders and nodes reach this server; otherwise HOST, or loopback',
  }),
  REGISTRY_URL: z
    .url({ protocol: /^https?$/ })
    .refine(isOrigin, 'no path')
    .optional()
    .meta({ description: 'a registry for the images; otherwise the embedded one' }),
  REGISTRY_USERNAME: z.string().optional().meta({ description: 'opens REGISTRY_URL' }),
  REGISTRY_PASSWORD: z
    .string()
    .optional()
    .meta({ description: 'opens REGISTRY_URL', secret: true }),
  REGISTRY_GARBAGE_SECONDS: z.coerce.number().int().min(1).max(86_400).default(3_600).meta({
    description: 'between two collections of what nobody refers to in the embedded registry',
  }),
  LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .meta({ description: 'debug, info, warn, error or silent' }),
  CYGNI_ISSUERS: json
    .pipe(foreignIssuersSchema)
    .optional()
    .meta({ description: 'JSON; whose tokens are let in besides the server’s own' }),
  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/ })
    .optional()
    .meta({ description: 'a PostgreSQL; otherwise one in the data directory', secret: true }),
  SEALING_KEYS: keyListSchema.optional().meta({
    description:
      'what build arguments and environments are sealed with in the database, the first for new ones; otherwise a key in the data directory',
    secret: true,
  }),
  CYGNI_BUILDER: z
    .enum(['local', 'kaniko'])
    .default('local')
    .meta({ description: 'local, or kaniko: each build is a Job on Kubernetes' }),
  ...exposureVariables.shape,
  ...outboundVariables.shape,
  ...s3Variables.shape,
  ...ecrVariables.shape,
  REDIS_URL: z
    .url({ protocol: /^rediss?$/ })
    .optional()
    .meta({ description: 'a Redis for the queue; otherwise it is in the process', secret: true }),
  REDIS_CLUSTER: z
    .stringbool()
    .default(false)
    .meta({ description: 'true: the Redis is in cluster mode' }),
  REGISTRY_MIRRORS: mirrorsSchema.meta({
    description: 'HOST=URL, with commas between them: where base images are looked for first',
  }),
  BUILD_ENGINE: z
    .enum(['auto', 'docker', 'podman', 'buildah', 'assemble'])
    .default('auto')
    .meta({ description: 'what builds locally: auto, docker, podman, buildah or assemble' }),
  DEPLOY_RUNTIME: z
    .enum(['auto', 'docker', 'podman', 'namespaces'])
    .default('auto')
    .meta({ description: 'what runs services: auto, docker, podman or namespaces' }),
  BUILD_CONCURRENCY: z.coerce.number().int().min(1).max(100).optional().meta({
    description: 'builds that this server has under way at once; otherwise 2, and 16 on Kubernetes',
  }),
  BUILDS_PER_TENANT: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(4)
    .meta({ description: 'builds that one tenant has under way at once' }),
  BUDGET_CAP: z.coerce.number().int().nonnegative().optional().meta({
    description: 'micro-units a tenant and month; otherwise no cap until one is set over the API',
  }),
});
export type Variables = z.output<typeof environmentSchema>;

function isOrigin(url: string): boolean {
  const parsed = new URL(url);
  return parsed.href === `${parsed.origin}/`;
}
