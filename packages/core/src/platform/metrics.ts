import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { messageKinds, type QueueStats } from '../contracts/queue.ts';
import { failureReasons } from '../model/build.ts';
import { rolloutRules } from '../model/deployment.ts';

const buildPhases = ['prepare', 'build', 'verify', 'tag', 'total'] as const;
export type BuildPhase = (typeof buildPhases)[number];

const buildBuckets = [5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const requestBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];

export type Metrics = ReturnType<typeof createMetrics>;

/** The platform's metrics in a registry of its own. Labels are bounded: never an id, never a tenant. */
export function createMetrics(queueStats: () => Promise<QueueStats>) {
  const registry = new Registry();
  const registers = [registry];
  const metrics = {
    registry,
    builds: new Counter({
      name: 'cygni_builds_total',
      help: 'Builds that have ended.',
      labelNames: ['result', 'error_type'],
      registers,
    }),
    buildDuration: new Histogram({
      name: 'cygni_build_duration_seconds',
      help: 'Time from claim to end of a build (total), and of its parts.',
      labelNames: ['phase', 'result'],
      buckets: buildBuckets,
      registers,
    }),
    queueWait: new Histogram({
      name: 'cygni_build_queue_wait_seconds',
      help: 'Time from acceptance to the first claim of a build.',
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 1800],
      registers,
    }),
    active: new Gauge({
      name: 'cygni_builds_active',
      help: 'Builds that this process is running.',
      labelNames: ['state'],
      registers,
    }),
    queueDepth: new Gauge({
      name: 'cygni_queue_depth',
      help: 'Messages waiting in the queue.',
      labelNames: ['kind'],
      registers,
      async collect() {
        const { depth, oldestAgeSeconds } = await queueStats();
        for (const [kind, waiting] of Object.entries(depth)) this.set({ kind }, waiting);
        metrics.queueOldestAge.set(oldestAgeSeconds);
      },
    }),
    queueOldestAge: new Gauge({
      name: 'cygni_queue_oldest_job_age_seconds',
      help: 'Age of the oldest waiting message.',
      registers,
    }),
    queueDelivery: new Histogram({
      name: 'cygni_queue_delivery_seconds',
      help: 'Time from enqueueing a message to the start of its handler, the first time.',
      labelNames: ['kind'],
      buckets: [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    }),
    queueRedeliveries: new Counter({
      name: 'cygni_queue_redeliveries_total',
      help: 'Messages that were handed out again.',
      labelNames: ['kind'],
      registers,
    }),
    queueDeadLetters: new Counter({
      name: 'cygni_queue_dead_letters_total',
      help: 'Messages that were given up.',
      labelNames: ['kind'],
      registers,
    }),
    adapterRequests: new Histogram({
      name: 'cygni_adapter_request_duration_seconds',
      help: 'Duration of calls to adapters.',
      labelNames: ['adapter', 'operation', 'outcome'],
      buckets: requestBuckets,
      registers,
    }),
    budgetRejections: new Counter({
      name: 'cygni_budget_rejections_total',
      help: 'Requests refused because the budget would be exceeded.',
      registers,
    }),
    registryTokenExpiry: new Gauge({
      name: 'cygni_registry_token_expiry_timestamp_seconds',
      help: 'When the credentials expire that the registry gave last; 0: none yet, or they do not.',
      registers,
    }),
    logBytes: new Counter({
      name: 'cygni_log_bytes_total',
      help: 'Bytes of build log that were stored.',
      registers,
    }),
    logLag: new Histogram({
      name: 'cygni_log_lag_seconds',
      help: 'Time from the writing of a line of build log to its being stored; of the oldest line of each write.',
      buckets: [0.05, 0.1, 0.3, 0.5, 1, 2, 5, 10, 30],
      registers,
    }),
    logDropped: new Counter({
      name: 'cygni_log_dropped_total',
      help: 'Lines of build log that were not stored: over the cap, or the store was out of reach.',
      registers,
    }),
    rollbacks: new Counter({
      name: 'cygni_rollbacks_total',
      help: 'Deployments that were rolled back by themselves.',
      labelNames: ['reason'],
      registers,
    }),
  };

  metrics.builds.inc({ result: 'succeeded', error_type: 'none' }, 0);
  for (const reason of failureReasons) {
    metrics.builds.inc({ result: 'failed', error_type: reason }, 0);
  }
  for (const phase of buildPhases) {
    for (const result of ['succeeded', 'failed']) metrics.buildDuration.zero({ phase, result });
  }
  for (const rule of rolloutRules) metrics.rollbacks.inc({ reason: rule }, 0);
  for (const kind of messageKinds) {
    metrics.queueDelivery.zero({ kind });
    metrics.queueRedeliveries.inc({ kind }, 0);
    metrics.queueDeadLetters.inc({ kind }, 0);
  }
  metrics.active.set({ state: 'running' }, 0);
  return metrics;
}
