import { CygniError, type RegistryCredentials } from '@cygni/core';
import { z } from 'zod';

const milliseconds = z.number().positive();
const mebibyte = 1024 * 1024;
const hostSchema = z
  .string()
  .regex(/^[A-Za-z0-9.-]+(?::\d{1,5})?$|^\[[0-9a-fA-F:.]+\](?::\d{1,5})?$/, 'host or host:port');

const mirrorSchema = z
  .object({
    url: z
      .url({ protocol: /^https?$/, error: 'an http or https address' })
      .refine(isPlain, 'without a user name, a query or a fragment'),
    credentials: z
      .custom<() => Promise<RegistryCredentials>>((value) => typeof value === 'function')
      .optional(),
  })
  .transform(({ url, credentials }) => {
    const { host, pathname, protocol } = new URL(url);
    const prefix = pathname.replace(/^\/+|\/+$/g, '');
    return {
      host,
      insecure: protocol === 'http:',
      prefix: prefix === '' ? '' : `${prefix}/`,
      credentials,
    };
  });

function isPlain(address: string): boolean {
  const url = URL.parse(address);
  return (
    !!url && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  );
}

export const imageClientOptionsSchema = z.object({
  timeouts: z
    .object({
      connectMs: milliseconds.default(10_000),
      headersMs: milliseconds.default(60_000),
      idleBodyMs: milliseconds.default(30_000),
    })
    .prefault({}),
  retry: z
    .object({
      retries: z.int().nonnegative().max(20).default(4),
      firstDelayMs: milliseconds.default(250),
      longestDelayMs: milliseconds.default(10_000),
      longestRetryAfterMs: milliseconds.default(60_000),
    })
    .prefault({}),
  monolithicBytes: z
    .int()
    .nonnegative()
    .default(4 * mebibyte),
  chunkBytes: z.int().positive().optional(),
  mirrors: z.record(hostSchema, z.array(mirrorSchema)).default({}),
});

export const ociRegistryOptionsSchema = z.object({
  host: hostSchema,
  insecure: z.boolean(),
});

export const registryServerOptionsSchema = z.object({
  directory: z.string().min(1),
  limits: z
    .object({
      maximumManifestBytes: z
        .int()
        .positive()
        .default(4 * mebibyte),
      maximumBlobBytes: z
        .int()
        .positive()
        .default(10 * 1024 * mebibyte),
      idleTimeoutMs: milliseconds.default(60_000),
      staleUploadMs: milliseconds.default(24 * 60 * 60 * 1000),
      garbageGraceMs: z
        .number()
        .nonnegative()
        .default(60 * 60 * 1000),
    })
    .prefault({}),
});

export type ImageClientSettings = z.output<typeof imageClientOptionsSchema>;
export type RegistryServerSettings = z.output<typeof registryServerOptionsSchema>;

/** @throws `invalid_configuration` */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  factory: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new CygniError('invalid_configuration', `${factory}: ${z.prettifyError(result.error)}`, {
    issues: result.error.issues.map((issue) => ({
      pointer: `/${issue.path.map(String).join('/')}`,
      code: issue.code,
      message: issue.message,
    })),
  });
}
