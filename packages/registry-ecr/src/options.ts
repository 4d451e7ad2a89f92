import { type Clock, CygniError, systemClock } from '@cygni/core';
import { z } from 'zod';
import { parseRegistryName } from './host.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface EcrRegistryOptions {
  /** As image references name it: `123456789012.dkr.ecr.eu-west-1.amazonaws.com`. */
  readonly host: string;
  /** The account of the registry. Needed only where the host does not begin with it. */
  readonly registryId?: string;
  /** Needed only where the host does not name it. */
  readonly region?: string;
  /** Of the API, where it is not AWS's own: a VPC endpoint without private DNS, an emulator. */
  readonly endpoint?: string;
  /** Plain HTTP to the host. Refused for a host of AWS. */
  readonly insecure?: boolean;
  /**
   * Default: the SDK's chain (environment, profile with `role_arn`, web identity, container, instance).
   * A function is asked again when what it gave expires, so it may assume a role.
   */
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials & { expiration?: Date }>);
  /** What a repository gets when it is created. One that is there already keeps what it has. */
  readonly repositories?: {
    /** Default: as the account has it, `mutable` if nobody changed that. */
    readonly tags?: 'mutable' | 'immutable';
    /** Default: as the account has it. */
    readonly scanOnPush?: boolean;
    /** Default: AES-256 with a key of AWS. */
    readonly encryption?: { readonly type: 'AES256' | 'KMS' | 'KMS_DSSE'; readonly keyId?: string };
    /** A policy document. Given to a repository that has none. Rules that expire images may expire what is deployed. */
    readonly lifecyclePolicy?: Readonly<Record<string, unknown>>;
    /** A policy document: who else may pull or push. Given to a repository that has none. */
    readonly policy?: Readonly<Record<string, unknown>>;
    readonly resourceTags?: Readonly<Record<string, string>>;
  };
  readonly timeouts?: {
    /** Default 5,000 ms. */
    readonly connectMs?: number;
    /** From the first byte of a request to the headers of its answer. Default 20,000 ms. */
    readonly requestMs?: number;
    /** Without a byte either way. Default 20,000 ms. */
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
  /** Says when tokens are old. */
  readonly clock?: Pick<Clock, 'now'>;
}

const milliseconds = z.int().min(1).max(600_000);
const policyDocument = z.record(z.string(), z.json());
const credentialsSchema = z.object({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).exactOptional(),
});

const schema = z
  .strictObject({
    host: z.string().regex(/^[a-z0-9.-]+(?::\d{1,5})?$/, 'host or host:port, without a scheme'),
    registryId: z
      .string()
      .regex(/^\d{12}$/, 'the 12 digits of an account')
      .optional(),
    region: z.string().min(1).optional(),
    endpoint: z
      .url({ protocol: /^https?$/, error: 'an http or https address' })
      .refine((address) => new URL(address).username === '', 'without a user name')
      .optional(),
    insecure: z.boolean().default(false),
    credentials: z
      .union([
        credentialsSchema,
        z.custom<() => Promise<AwsCredentials & { expiration?: Date }>>(
          (value) => typeof value === 'function',
        ),
      ])
      .optional(),
    repositories: z
      .strictObject({
        tags: z.enum(['mutable', 'immutable']).optional(),
        scanOnPush: z.boolean().optional(),
        encryption: z
          .strictObject({
            type: z.enum(['AES256', 'KMS', 'KMS_DSSE']),
            keyId: z.string().min(1).optional(),
          })
          .refine(({ type, keyId }) => type !== 'AES256' || keyId === undefined, {
            path: ['keyId'],
            error: 'AES256 takes no key',
          })
          .optional(),
        lifecyclePolicy: policyDocument.optional(),
        policy: policyDocument.optional(),
        resourceTags: z.record(z.string().min(1).max(128), z.string().max(256)).optional(),
      })
      .prefault({}),
    timeouts: z
      .strictObject({
        connectMs: milliseconds.default(5_000),
        requestMs: milliseconds.default(20_000),
        idleMs: milliseconds.default(20_000),
      })
      .prefault({}),
    retry: z
      .strictObject({
        retries: z.int().min(0).max(20).default(4),
        firstDelayMs: milliseconds.default(200),
        longestDelayMs: milliseconds.default(5_000),
      })
      .prefault({}),
    clock: z
      .custom<Pick<Clock, 'now'>>((value) => typeof value === 'object' && value !== null)
      .default(systemClock),
  })
  .transform((options, context) => {
    const named = parseRegistryName(options.host);
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message });
    if (named && options.insecure) refuse('insecure', 'AWS speaks no plain HTTP');
    for (const field of ['registryId', 'region'] as const) {
      const given = options[field];
      if (given === undefined && !named) refuse(field, 'needed: the host does not name it');
      if (given !== undefined && named && named[field] !== given) {
        refuse(field, 'the host names another');
      }
    }
    return {
      ...options,
      registryId: options.registryId ?? named?.registryId ?? '',
      region: options.region ?? named?.region ?? '',
      fips: named?.fips ?? false,
      dualStack: named?.dualStack ?? false,
    };
  });

export type EcrRegistrySettings = z.output<typeof schema>;

/** @throws `invalid_configuration`; names what is wrong and repeats no value */
export function resolveOptions(options: EcrRegistryOptions): EcrRegistrySettings {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'options'}: ${message}`,
  );
  throw new CygniError('invalid_configuration', `createEcrRegistry: ${wrong.join('; ')}`);
}
