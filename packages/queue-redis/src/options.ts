import { CygniError } from '@cygni/core';
import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';

interface CommonOptions {
  /**
   * What the keys begin with, and what a dashboard asks for. One that is not in braces gets them: in a cluster
   * they keep all keys of a queue on one node. Default `{cygni}`.
   */
  readonly prefix?: string;
  /** The longest until the messages of a consumer that died are handed out again. Default 10 seconds. */
  readonly redeliverySeconds?: number;
}

/** Either a connection that stays its owner's, or an address. */
export type RedisQueueOptions = CommonOptions &
  (
    | {
        /** Its options are taken over by connections of the queue's own; it is neither used nor closed. */
        readonly connection: Redis | Cluster;
      }
    | {
        /** `redis://user:password@host:port/database`; `rediss://` for TLS. */
        readonly url: string;
        /** Whether the address is that of a cluster's node or of its configuration endpoint. Default false. */
        readonly cluster?: boolean;
      }
  );

const common = {
  prefix: z
    .string()
    .regex(
      /^\{[\w.-]+\}[\w.-]*$|^[\w.-]+$/,
      'letters, digits, dots, dashes, and braces at the start',
    )
    .default('{cygni}')
    .transform((prefix) => (prefix.startsWith('{') ? prefix : `{${prefix}}`)),
  redeliverySeconds: z.number().min(1).max(3600).default(10),
};

const schema = z.union([
  z.strictObject({
    ...common,
    connection: z.custom<Redis | Cluster>(
      (value) => typeof value === 'object' && value !== null && 'duplicate' in value,
      'a connection of ioredis',
    ),
  }),
  z.strictObject({
    ...common,
    url: z.url({ protocol: /^rediss?$/, error: 'a redis:// or rediss:// address' }),
    cluster: z.boolean().default(false),
  }),
]);
export type ResolvedOptions = z.output<typeof schema>;

/** @throws `invalid_configuration`; the address, which holds a password, is not repeated. */
export function resolveOptions(options: RedisQueueOptions): ResolvedOptions {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) =>
    issue.path.length > 0 ? issue.path.join('.') : 'connection or url',
  );
  throw new CygniError(
    'invalid_configuration',
    `createRedisQueue: wrong options: ${wrong.join(', ')}`,
  );
}
