/** What one process of the whole path does. */
export interface Role {
  readonly system: 'cygni' | 'hand-written loop';
  readonly part: 'api' | 'worker';
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly prefix: string;
  /** Builds that a worker has in hand at once. */
  readonly concurrency: number;
}

/** Of the API and of each worker: all of them at once are fewer than PostgreSQL lets in. */
export const poolSize = 10;
export const repository = 'site';

/** Times are milliseconds of the machine's monotonic clock, the same in all processes. */
export type Report =
  | { readonly is: 'ready'; readonly port: number | null }
  | { readonly is: 'started'; readonly at: number }
  | { readonly is: 'finished'; readonly at: number }
  | { readonly is: 'used'; readonly cpuMs: number };

export const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;

/** Each tenant has a source of this name. */
export const sourceId = '00000000-0000-4000-8000-000000000001';
export const tenants: readonly string[] = Array.from({ length: 50 }, (_, n) => `tenant-${n}`);
