import * as z from 'zod/mini';
import {
  maximumRepositoryLength,
  repositoryPattern,
  tagPattern,
  upstreamPattern,
} from './names.ts';

const credentialsSchema = z.strictObject({
  username: z.string().check(z.minLength(1), z.maxLength(1024)),
  password: z.string().check(z.minLength(1), z.maxLength(65_536)),
  /** When the registry stops to accept them; null: never. */
  expiresAt: z.nullable(z.iso.datetime({ offset: true })),
});

const repositorySchema = z.strictObject({
  /** The repository's name at the upstream; `*` is every repository, to pull anonymously only. */
  name: z.union([
    z.literal('*'),
    z.string().check(z.maxLength(maximumRepositoryLength), z.regex(repositoryPattern)),
  ]),
  actions: z.array(z.enum(['pull', 'push'])).check(z.minLength(1)),
  /** The only tags that may be pushed. Absent: every tag. */
  tags: z.optional(z.array(z.string().check(z.regex(tagPattern))).check(z.minLength(1))),
});

const upstreamSchema = z
  .strictObject({
    /** First segment of the repository's path at the proxy. */
    name: z.string().check(z.maxLength(63), z.regex(upstreamPattern)),
    /** Where the registry is: `https://host[:port]`, without a path; `http://` speaks plain HTTP. */
    origin: z.string().check(z.refine(isOrigin, 'must be http(s)://host[:port]')),
    /** Absent: anonymous. */
    credentials: z.optional(credentialsSchema),
    repositories: z.array(repositorySchema).check(z.minLength(1)),
  })
  .check(
    z.refine(
      ({ credentials, repositories }) =>
        repositories.every(
          (each) =>
            each.name !== '*' || (credentials === undefined && !each.actions.includes('push')),
        ),
      { path: ['repositories'], error: '* is for anonymous pulls only' },
    ),
  );

/** What the file that is mounted into the proxy holds. Unknown fields are refused. */
export const proxyConfigurationSchema = z.strictObject({
  /** On 127.0.0.1; 0 takes a free one. */
  port: z._default(z.int().check(z.minimum(0), z.maximum(65_535)), 5001),
  upstreams: z.array(upstreamSchema).check(
    z.minLength(1),
    z.refine((all) => new Set(all.map((each) => each.name)).size === all.length, {
      error: 'names must differ',
    }),
  ),
  /** How long a request waits for credentials that ran out to be renewed in the file. */
  renewalWaitSeconds: z._default(z.int().check(z.minimum(0), z.maximum(600)), 150),
});

export type ProxyConfiguration = z.output<typeof proxyConfigurationSchema>;
export type ProxyConfigurationInput = z.input<typeof proxyConfigurationSchema>;
export type Upstream = ProxyConfiguration['upstreams'][number];
export type Credentials = z.output<typeof credentialsSchema>;

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.origin === text.replace(/\/$/, '')
  );
}

/** @throws Error that names the fields and shows no value */
export function parseConfiguration(text: string): ProxyConfiguration {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and with it a password.
    throw new Error('the configuration is not JSON');
  }
  const parsed = proxyConfigurationSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((each) => {
    const field = each.path.join('.') || 'the whole file';
    return each.code === 'unrecognized_keys'
      ? `${field}: unknown fields`
      : `${field}: ${each.message}`;
  });
  throw new Error(`the configuration is not valid: ${issues.join('; ')}`);
}
