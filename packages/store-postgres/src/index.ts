export { createPostgresStore } from './create-postgres-store.ts';
export type { PostgresStoreOptions } from './options.ts';
export type { Pool, PoolClient, TypeParsers } from './pool.ts';
