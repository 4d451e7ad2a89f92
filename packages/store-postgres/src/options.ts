import { CygniError } from '@cygni/core';
import { z } from 'zod';
import type { Pool } from './pool.ts';

interface CommonOptions {
  /** How long a call waits for a free connection before it fails as `unavailable`. Default 5,000 ms. */
  readonly connectionTimeoutMs?: number;
  /** The longest that one statement may take. Default 15,000 ms. */
  readonly statementTimeoutMs?: number;
  /** How often a deployment is tried when its workers die. Default 5. */
  readonly maximumDeploymentAttempts?: number;
}

/** Either a pool that stays its owner's, or the address of a database, for a pool of the store's own. */
export type PostgresStoreOptions = CommonOptions &
  (
    | {
        /** A `pg.Pool`. Never closed by the store. Its connections are used with the session settings they have. */
        readonly pool: Pool;
      }
    | {
        /** `postgresql://user:password@host:port/database` */
        readonly url: string;
        /** Most connections at once. Default 10. */
        readonly poolSize?: number;
      }
  );

const common = {
  connectionTimeoutMs: z.int().min(1).max(600_000).default(5_000),
  statementTimeoutMs: z.int().min(10).max(600_000).default(15_000),
  maximumDeploymentAttempts: z.int().min(1).max(100).default(5),
};

const schema = z.union([
  z.strictObject({
    ...common,
    pool: z.custom<Pool>(
      (value) => typeof value === 'object' && value !== null && 'connect' in value,
      'a pg.Pool',
    ),
  }),
  z.strictObject({
    ...common,
    url: z.url({ protocol: /^postgres(ql)?$/, error: 'a postgresql:// address' }),
    poolSize: z.int().min(1).max(1_000).default(10),
  }),
]);
export type ResolvedOptions = z.output<typeof schema>;

/** @throws `invalid_configuration`; the address, which holds a password, is not repeated. */
export function resolveOptions(options: PostgresStoreOptions): ResolvedOptions {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) =>
    issue.path.length > 0 ? issue.path.join('.') : 'pool or url',
  );
  throw new CygniError(
    'invalid_configuration',
    `createPostgresStore: wrong options: ${wrong.join(', ')}`,
  );
}
