import { z } from 'zod';
import {
  maximumRepositoryLength,
  repositoryPattern,
  tagPattern,
  upstreamPattern,
} from './names.ts';

const credentialsSchema = z.strictObject({
  username: z.string().min(1).max(1024),
  password: z.string().min(1).max(65_536),
  /** When the registry stops to accept them; null: never. */
  expiresAt: z.iso.datetime({ offset: true }).nullable(),
});

const repositorySchema = z.strictObject({
  /** The repository's name at the upstream; `*` is every repository, to pull anonymously only. */
  name: z.union([z.literal('*'), z.string().max(maximumRepositoryLength).regex(repositoryPattern)]),
  actions: z.array(z.enum(['pull', 'push'])).min(1),
  /** The only tags that may be pushed. Absent: every tag. */
  tags: z.array(z.string().regex(tagPattern)).min(1).optional(),
});

const upstreamSchema = z
  .strictObject({
    /** First segment of the repository's path at the proxy. */
    name: z.string().regex(upstreamPattern).max(63),
    /** Where the registry is: `https://host[:port]`, without a path; `http://` speaks plain HTTP. */
    origin: z.string().check(z.refine(isOrigin, 'must be http(s)://host[:port]')),
    /** Absent: anonymous. */
    credentials: credentialsSchema.optional(),
    repositories: z.array(repositorySchema).min(1),
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
  port: z.int().min(0).max(65_535).default(5001),
  upstreams: z
    .array(upstreamSchema)
    .min(1)
    .check(
      z.refine((all) => new Set(all.map((each) => each.name)).size === all.length, {
        error: 'names must differ',
      }),
    ),
  /** How long a request waits for credentials that ran out to be renewed in the file. */
  renewalWaitSeconds: z.int().min(0).max(600).default(150),
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
