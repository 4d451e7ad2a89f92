import { z } from 'zod';

const day = 86_400;

export const platformSettingsSchema = z
  .strictObject({
    /** How long a claim lasts without a heartbeat; the time until another worker takes over after a crash. */
    leaseSeconds: z.number().min(1).max(3600).default(30),
    /** Builds and rollouts that this process works on at once. */
    buildConcurrency: z.int().min(1).max(1000).default(2),
    rolloutConcurrency: z.int().min(1).max(1000).default(10),
    /** Builds of one tenant that are with the queue or with workers at once; its others wait their turn. */
    maximumRunningBuildsPerTenant: z.int().min(1).max(10_000).default(4),
    /** Builds of all tenants that are in the queue at once. What is accepted beyond that waits in the store. */
    maximumDispatchedBuilds: z.int().min(1).max(100_000).default(100),
    /** How often a build or a deployment may be tried when the platform is at fault. */
    maximumAttempts: z.int().min(1).max(10).default(3),
    /** Before a second attempt; doubled before each further one, up to a minute, with jitter. */
    retryDelayMs: z.int().min(0).max(60_000).default(2_000),
    /** A larger image fails its build. It is part of what is reserved. */
    maximumImageBytes: z
      .int()
      .positive()
      .default(4 * 1024 ** 3),
    maximumSourceBytes: z
      .int()
      .positive()
      .default(1024 ** 3),
    maximumLogBytes: z
      .int()
      .positive()
      .default(16 * 1024 ** 2),
    /** How long writing a log to the artifacts may take, and the pause before that is tried again. */
    logArchiveSeconds: z.number().min(1).max(3600).default(300),
    /** How often the outbox is looked at for messages of other processes. */
    relayIntervalMs: z.int().min(10).max(60_000).default(250),
    sweepIntervalSeconds: z.number().min(0.1).max(3600).default(5),
    /** Work queued longer than this gets a new message. */
    queuedSeconds: z.number().min(1).max(86_400).default(30),
    /** How long builds, their logs and deployments are kept after their end. What a rollback may need is kept anyway. */
    keepWorkSeconds: z
      .number()
      .min(1)
      .default(90 * day),
    /** How long a source is kept that no build refers to. */
    keepSourcesSeconds: z
      .number()
      .min(1)
      .default(7 * day),
    keepEventsSeconds: z
      .number()
      .min(1)
      .default(365 * day),
    /** How long deliveries of events to others are kept after their end. */
    keepDeliveriesSeconds: z
      .number()
      .min(1)
      .default(30 * day),
    /** How often deliveries are looked for that are due. */
    notifyIntervalMs: z.int().min(10).max(60_000).default(1_000),
    pruneIntervalSeconds: z.number().min(0.1).max(86_400).default(60),
    /** How often instances are looked at during a rollout. */
    observeIntervalMs: z.int().min(10).max(60_000).default(250),
    /** How often settled services are compared with what runs. */
    reconcileIntervalSeconds: z.number().min(0.1).max(3600).default(10),
    idempotencySeconds: z.int().positive().default(86_400),
  })
  .prefault({});
export type PlatformSettings = z.output<typeof platformSettingsSchema>;
