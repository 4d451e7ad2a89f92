import { CygniError } from '@cygni/core';
import type { Lookup } from '@cygni/core/outbound';
import { z } from 'zod';

export interface GitFetcherOptions {
  /** Where repositories are for the time of a fetch; of this fetcher alone. `open` makes it, and removes what a process that was killed has left. */
  readonly directory: string;
  /** git 2.37 or newer. Default: `git`, looked for in PATH. */
  readonly program?: string;
  /** Hosts by name, without a port, that may be on private networks. Default: none. */
  readonly allowedHosts?: readonly string[];
  /** PEM file; authorities that servers' certificates may be signed by. Default: the system's. */
  readonly caFile?: string;
  /** Of what is received. Default 512 MiB. */
  readonly maximumPackBytes?: number;
  /** Of the files together. Default 4 GiB. */
  readonly maximumFilesBytes?: number;
  /** From DNS to the last byte of the archive. Default 5 minutes. */
  readonly timeoutMs?: number;
  /** Fetches at once; one more is refused with `unavailable`. Default 4. */
  readonly concurrency?: number;
  /** Default: as the system resolves names. */
  readonly lookup?: Lookup;
}

const mebibyte = 1024 ** 2;

const optionsSchema = z.strictObject({
  directory: z.string().min(1),
  program: z.string().min(1).default('git'),
  allowedHosts: z.array(z.string().min(1).max(253)).default([]),
  caFile: z.string().min(1).optional(),
  maximumPackBytes: z
    .int()
    .min(1_024)
    .default(512 * mebibyte),
  maximumFilesBytes: z
    .int()
    .min(1_024)
    .default(4_096 * mebibyte),
  timeoutMs: z.int().min(1).max(600_000).default(300_000),
  concurrency: z.int().min(1).max(100).default(4),
  lookup: z.custom<Lookup>((value) => typeof value === 'function').optional(),
});

export type ResolvedOptions = z.output<typeof optionsSchema>;

/** @throws `invalid_configuration` */
export function resolveOptions(options: GitFetcherOptions): ResolvedOptions {
  const parsed = optionsSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CygniError('invalid_configuration', `git sources: ${problems.join('; ')}`);
}
