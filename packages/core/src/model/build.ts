import { z } from 'zod';
import {
  digestSchema,
  idSchema,
  repositoryNameSchema,
  tagSchema,
  textSchema,
  variablesSchema,
} from './names.ts';

export const machineSizes = ['small', 'medium', 'large'] as const;
export type MachineSize = (typeof machineSizes)[number];

export const buildStates = [
  'QUEUED',
  'RUNNING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
  'TIMED_OUT',
] as const;
export type BuildState = (typeof buildStates)[number];

/** Why a build failed. The taxonomy alone decides retry and billing. */
export const failureReasons = [
  'user_error',
  'oom',
  'evicted',
  'image_pull',
  'deadline',
  'registry_auth',
  'registry_unavailable',
  'cancelled',
  'platform_error',
] as const;
export type FailureReason = (typeof failureReasons)[number];

const platformFaults: ReadonlySet<FailureReason> = new Set([
  'evicted',
  'registry_auth',
  'registry_unavailable',
  'platform_error',
]);

/** A fault of the platform: another attempt may succeed, and the tenant does not pay. */
export function isPlatformFault(reason: FailureReason): boolean {
  return platformFaults.has(reason);
}

/** A relative path that stays inside the context. */
export const contextPathSchema = z
  .string()
  .min(1)
  .max(255)
  .regex(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: not every reader of a JSON Schema knows \p{Cc}
    /^(?!\/)(?!(?:[^/]*\/)*\.\.(?:\/|$))[^\x00-\x1f\x7f-\x9f\\]+$/,
    'a relative path inside the build context, without control characters and backslashes',
  );

export const buildRequestSchema = z.strictObject({
  /** An uploaded source archive. */
  sourceId: idSchema,
  /** Name of the image, below the tenant's own prefix. */
  repository: repositoryNameSchema,
  tags: z.array(tagSchema).max(10).default([]),
  dockerfile: contextPathSchema.default('Dockerfile'),
  target: textSchema.min(1).max(128).optional(),
  buildArguments: variablesSchema({ maximumEntries: 100, maximumCharacters: 4_096 }).default({}),
  machine: z.enum(machineSizes).default('small'),
  timeoutSeconds: z.int().min(10).max(7200).default(600),
});
export type BuildRequest = z.output<typeof buildRequestSchema>;

export const builtImageSchema = z.strictObject({
  /** The whole path below the registry's host, the tenant first. */
  repository: z.string(),
  digest: digestSchema,
  sizeBytes: z.int().nonnegative(),
});
export type BuiltImage = z.output<typeof builtImageSchema>;

/** What the layer cache did for a build. */
export const cacheUseSchema = z.strictObject({
  hits: z.int().nonnegative(),
  misses: z.int().nonnegative(),
  /** A layer could not be read from the cache or written to it, so that later builds stay slow. */
  degraded: z.boolean(),
});
export type CacheUse = z.output<typeof cacheUseSchema>;

export const buildFailureSchema = z.strictObject({
  reason: z.enum(failureReasons),
  message: z.string(),
  /** True: the platform's fault, and free of charge. */
  platformFault: z.boolean(),
});
export type BuildFailure = z.output<typeof buildFailureSchema>;

export const buildSchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  state: z.enum(buildStates),
  sourceId: idSchema,
  repository: z.string(),
  tags: z.array(z.string()),
  dockerfile: z.string(),
  target: z.string().nullable(),
  buildArguments: z.record(z.string(), z.string()),
  machine: z.enum(machineSizes),
  timeoutSeconds: z.int(),
  /** The attempt that runs or ran last; 0 before the first. */
  attempt: z.int().nonnegative(),
  maximumAttempts: z.int().positive(),
  cancelRequested: z.boolean(),
  image: builtImageSchema.nullable(),
  /** Null where the build has not succeeded, or used no cache. */
  cache: cacheUseSchema.nullable(),
  failure: buildFailureSchema.nullable(),
  currency: z.string(),
  /** Reserved when the build was accepted; micro-units. */
  estimate: z.int().nonnegative(),
  /** Settled when the build ended; micro-units. */
  cost: z.int().nonnegative().nullable(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
});
/** A build as the store keeps it and the API shows it. */
export type Build = z.output<typeof buildSchema>;

export function isTerminalBuildState(state: BuildState): boolean {
  return state !== 'QUEUED' && state !== 'RUNNING';
}
