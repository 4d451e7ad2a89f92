import { CygniError } from '@cygni/core';
import { z } from 'zod';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3ArtifactStoreOptions {
  readonly bucket: string;
  /** Before every key, to share a bucket: `cygni/production`. */
  readonly prefix?: string;
  /** Default: what the SDK finds (`AWS_REGION`, the profile); `us-east-1` with an endpoint of one's own. */
  readonly region?: string;
  /** Of another store than AWS: `https://minio.internal:9000`. Presigned addresses begin with it. */
  readonly endpoint?: string;
  /** The bucket in the path instead of the host name. Default: true with an endpoint of one's own. */
  readonly forcePathStyle?: boolean;
  /** Default: the SDK's chain (environment, profile, web identity, container, instance). */
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials & { expiration?: Date }>);
  /** Asked for with each upload. Default: whatever the bucket does by itself. */
  readonly serverSideEncryption?:
    | { readonly algorithm: 'AES256' }
    | { readonly algorithm: 'aws:kms'; readonly keyId?: string };
  /**
   * Rules that `open` adds to the bucket's own and keeps up to date; they concern `prefix` only.
   * Default: the bucket's rules are neither read nor changed.
   */
  readonly lifecycle?: {
    /** Days after which what is left of uploads that a crash cut short goes away. */
    readonly abortIncompleteUploadsAfterDays: number;
    /** In a bucket with versions: days after which a deleted artifact is really gone. */
    readonly expireNoncurrentVersionsAfterDays?: number;
  };
  /** False for a store that takes no notice of `If-None-Match` on a PUT. Default true. */
  readonly conditionalWrites?: boolean;
  readonly timeouts?: {
    /** Default 5,000 ms. */
    readonly connectMs?: number;
    /** From the first byte of a request to the headers of its answer. Default 60,000 ms. */
    readonly requestMs?: number;
    /** Without a byte either way. Default 30,000 ms. */
    readonly idleMs?: number;
  };
  readonly retry?: {
    /** After the first try of a request. Default 4. */
    readonly retries?: number;
    /** Doubled each time, with jitter. Default 200 ms. */
    readonly firstDelayMs?: number;
    /** Default 5,000 ms. */
    readonly longestDelayMs?: number;
  };
}

const milliseconds = z.int().min(1).max(3_600_000);
const days = z.int().min(1).max(3_650);
const credentialsSchema = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).exactOptional(),
});

const schema = z
  .strictObject({
    bucket: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, 'the name of a bucket'),
    prefix: z
      .string()
      .max(256)
      .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\/?$/)
      .transform((prefix) => (prefix.endsWith('/') ? prefix : `${prefix}/`))
      .default(''),
    region: z.string().min(1).optional(),
    endpoint: z
      .url({ protocol: /^https?$/, error: 'an http or https address' })
      .refine((address) => new URL(address).username === '', 'without a user name')
      .optional(),
    forcePathStyle: z.boolean().optional(),
    credentials: z
      .union([
        credentialsSchema,
        z.custom<() => Promise<S3Credentials & { expiration?: Date }>>(
          (value) => typeof value === 'function',
        ),
      ])
      .optional(),
    serverSideEncryption: z
      .union([
        z.strictObject({ algorithm: z.literal('AES256') }),
        z.strictObject({ algorithm: z.literal('aws:kms'), keyId: z.string().min(1).optional() }),
      ])
      .optional(),
    lifecycle: z
      .strictObject({
        abortIncompleteUploadsAfterDays: days,
        expireNoncurrentVersionsAfterDays: days.optional(),
      })
      .optional(),
    conditionalWrites: z.boolean().default(true),
    timeouts: z
      .strictObject({
        connectMs: milliseconds.default(5_000),
        requestMs: milliseconds.default(60_000),
        idleMs: milliseconds.default(30_000),
      })
      .prefault({}),
    retry: z
      .strictObject({
        retries: z.int().min(0).max(20).default(4),
        firstDelayMs: milliseconds.default(200),
        longestDelayMs: milliseconds.default(5_000),
      })
      .prefault({}),
  })
  .transform((options) => ({
    ...options,
    region: options.region ?? (options.endpoint === undefined ? undefined : 'us-east-1'),
    forcePathStyle: options.forcePathStyle ?? options.endpoint !== undefined,
  }));

export type S3ArtifactStoreSettings = z.output<typeof schema>;

/** @throws `invalid_configuration`; names what is wrong and repeats no value */
export function resolveOptions(options: S3ArtifactStoreOptions): S3ArtifactStoreSettings {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'options'}: ${message}`,
  );
  throw new CygniError('invalid_configuration', `createS3ArtifactStore: ${wrong.join('; ')}`);
}
