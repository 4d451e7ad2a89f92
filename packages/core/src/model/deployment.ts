import { z } from 'zod';
import {
  digestSchema,
  idSchema,
  repositoryNameSchema,
  serviceNameSchema,
  textSchema,
  variablesSchema,
} from './names.ts';

export const healthCheckSchema = z
  .strictObject({
    path: z
      .string()
      .max(1024)
      .regex(/^\/[\x21-\x7e]*$/, 'a path that starts with /')
      .default('/'),
    intervalSeconds: z.number().min(0.1).max(60).default(1),
    timeoutSeconds: z.number().min(0.1).max(60).default(5),
    /** Successes in a row that make an instance healthy. */
    healthyThreshold: z.int().min(1).max(20).default(2),
    /** Failures in a row that make it unhealthy. */
    unhealthyThreshold: z.int().min(1).max(20).default(3),
    /** Failures this soon after the start do not count, unless it was healthy before. */
    startPeriodSeconds: z.number().min(0).max(600).default(10),
  })
  .prefault({});
export type HealthCheck = z.output<typeof healthCheckSchema>;

export const probeResultSchema = z.strictObject({
  /** ISO 8601 */
  time: z.string(),
  ok: z.boolean(),
  /** Of the HTTP answer; null where none came. */
  status: z.int().nullable(),
  durationMs: z.number(),
  /** Why it failed, for people; null when ok. */
  error: z.string().nullable(),
});
export type ProbeResult = z.output<typeof probeResultSchema>;

export const rolloutSchema = z
  .strictObject({
    /** Until the new revision is healthy. */
    deadlineSeconds: z.number().min(1).max(3600).default(60),
    /** How long it is watched after it has the traffic. */
    bakeSeconds: z.number().min(0).max(3600).default(10),
  })
  .prefault({});
export type Rollout = z.output<typeof rolloutSchema>;

const environmentSchema = variablesSchema({
  maximumEntries: 200,
  maximumCharacters: 32_768,
  reserved: ['PORT'],
});

export const deploymentRequestSchema = z
  .strictObject({
    service: serviceNameSchema,
    /** A build that succeeded. Either this or `image`. */
    buildId: idSchema.optional(),
    image: z.strictObject({ repository: repositoryNameSchema, digest: digestSchema }).optional(),
    environment: environmentSchema.default({}),
    /** Replaces the image's CMD. `$(NAME)` is replaced from the environment, `PORT` included. */
    arguments: z.array(textSchema.max(4096)).max(100).optional(),
    healthCheck: healthCheckSchema,
    rollout: rolloutSchema,
  })
  .refine((value) => (value.buildId === undefined) !== (value.image === undefined), {
    message: 'exactly one of buildId and image',
    path: ['buildId'],
  })
  // Not as `oneOf`: readers that show it show nothing beside it.
  .meta({
    if: { required: ['image'] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { not: { required: ['buildId'] } },
    else: { required: ['buildId'] },
  });
export type DeploymentRequest = z.output<typeof deploymentRequestSchema>;

export const rollbackRequestSchema = z.strictObject({
  /** Omitted: the last revision that was healthy before the present one. */
  revision: z.int().positive().optional(),
  message: textSchema.max(1000).optional(),
  rollout: rolloutSchema,
});
export type RollbackRequest = z.output<typeof rollbackRequestSchema>;

export const revisionSchema = z.strictObject({
  tenantId: z.string(),
  service: z.string(),
  number: z.int().positive(),
  /** The whole path below the registry's host. */
  repository: z.string(),
  digest: z.string(),
  buildId: idSchema.nullable(),
  environment: z.record(z.string(), z.string()),
  arguments: z.array(z.string()).nullable(),
  healthCheck: healthCheckSchema,
  /** When a deployment of it succeeded first; such a revision is a rollback target and is kept. */
  healthyAt: z.iso.datetime().nullable(),
  createdAt: z.iso.datetime(),
});
/** An immutable, numbered description of what a service runs. */
export type Revision = z.output<typeof revisionSchema>;

export const serviceSchema = z.strictObject({
  tenantId: z.string(),
  name: z.string(),
  /** The revision that is meant to have the traffic; null before the first success. */
  stableRevision: z.int().nullable(),
  /** The revision to return to when `stableRevision` is rolled back by hand. */
  previousRevision: z.int().nullable(),
  url: z.string().nullable(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});
export type Service = z.output<typeof serviceSchema>;

export const deploymentStates = [
  'QUEUED',
  'RUNNING',
  'SUCCEEDED',
  'FAILED',
  'ROLLED_BACK',
  'CANCELLED',
  'SUPERSEDED',
] as const;
export type DeploymentState = (typeof deploymentStates)[number];

export const deploymentPhases = ['PENDING', 'APPLYING', 'WATCHING', 'BAKING', 'DONE'] as const;
export type DeploymentPhase = (typeof deploymentPhases)[number];

/** The rule of the rollout worker that ended a deployment. */
export const rolloutRules = [
  'apply_failed',
  'instance_exited',
  'health_check_failed',
  'deadline_exceeded',
  'bake_failed',
] as const;

export const evidenceSchema = z.strictObject({
  rule: z.enum(rolloutRules),
  message: z.string(),
  requestedDigest: z.string(),
  /** What really ran; null where nothing did. */
  observedDigest: z.string().nullable(),
  instances: z.array(
    z.strictObject({ id: z.string(), state: z.string(), reason: z.string().nullable() }),
  ),
  probes: z.array(probeResultSchema),
  logLines: z.array(z.string()),
  /** The revision that has the traffic again; null where there was none. */
  rolledBackTo: z.int().nullable(),
  cost: z.int().nullable(),
  collectedAt: z.iso.datetime(),
});
/** What was saved about a sick revision before it was removed. */
export type Evidence = z.output<typeof evidenceSchema>;

export const deploymentSchema = z.strictObject({
  id: idSchema,
  tenantId: z.string(),
  service: z.string(),
  revision: z.int().positive(),
  kind: z.enum(['deploy', 'rollback']),
  state: z.enum(deploymentStates),
  phase: z.enum(deploymentPhases),
  attempt: z.int().nonnegative(),
  rollout: rolloutSchema,
  message: z.string().nullable(),
  evidence: evidenceSchema.nullable(),
  /** Another deployment of the service that took this one's place while it waited. */
  supersededBy: idSchema.nullable(),
  currency: z.string(),
  estimate: z.int().nonnegative(),
  cost: z.int().nonnegative().nullable(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
});
export type Deployment = z.output<typeof deploymentSchema>;

export function isTerminalDeploymentState(state: DeploymentState): boolean {
  return state !== 'QUEUED' && state !== 'RUNNING';
}
