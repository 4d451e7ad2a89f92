import type { Registry as MetricsRegistry } from 'prom-client';
import { parseOptions } from '../budget/parse-options.ts';
import type { Call, Logger } from '../contracts/call.ts';
import type { Notifier } from '../contracts/notifier.ts';
import type { SourceFetcher } from '../contracts/source-fetcher.ts';
import { CygniError } from '../errors.ts';
import { createBell } from './bell.ts';
import { type Budgets, createBudgets } from './budgets.ts';
import { workOnBuild } from './build-worker.ts';
import { type Builds, createBuilds } from './builds.ts';
import { type Clock, systemClock } from './clock.ts';
import { consumeMessages } from './consume.ts';
import type { Adapters, PlatformContext } from './context.ts';
import { createDeployments, type Deployments } from './deployments.ts';
import { endOrphansRegularly } from './end-orphans.ts';
import { archiveLogs } from './log-archiver.ts';
import { createMetrics } from './metrics.ts';
import { notifyOthers } from './notify.ts';
import { pruneRegularly } from './pruner.ts';
import { reconcileRegularly } from './reconciler.ts';
import { relayOutbox } from './relay.ts';
import { workOnDeployment } from './rollout-worker.ts';
import { createServices, type Services } from './services.ts';
import { type PlatformSettings, platformSettingsSchema } from './settings.ts';
import { createSources, type Sources } from './sources.ts';
import { superviseAdapter } from './supervise-adapter.ts';
import { sweepRegularly } from './sweeper.ts';
import { createWebhooks, type Webhooks } from './webhooks.ts';

export const roles = ['relay', 'builds', 'rollouts', 'sweeper', 'notifier'] as const;
export type Role = (typeof roles)[number];

const queuePingMs = 500;

export interface PlatformOptions extends Omit<Adapters, 'notifiers' | 'sourceFetcher'> {
  /** Default: none. */
  readonly notifiers?: readonly Notifier[];
  /** Default: none; sources are uploaded only. */
  readonly sourceFetcher?: SourceFetcher;
  readonly settings?: Partial<PlatformSettings>;
  readonly clock?: Clock;
  readonly log: Logger;
}

export interface Readiness {
  readonly degraded: readonly 'queue'[];
}

export interface Platform {
  readonly builds: Builds;
  readonly sources: Sources;
  readonly deployments: Deployments;
  readonly services: Services;
  readonly budgets: Budgets;
  readonly webhooks: Webhooks;
  readonly settings: PlatformSettings;
  /** Host of the registry, as image references name it. */
  readonly registryHost: string;
  /** Aborts when the platform stops: streams to clients end with it. */
  readonly stopping: AbortSignal;
  /** Opens every adapter. @throws what an adapter's `open` throws; those already open are closed again */
  open(signal: AbortSignal): Promise<void>;
  /** Works in the given roles until `signal` aborts, then gives its claims back. Any number of processes may work in any role. */
  run(options: { readonly roles: readonly Role[]; readonly signal: AbortSignal }): Promise<void>;
  /**
   * Whether work can be taken: the platform is not stopping and the store answers. Tells what else is out of reach:
   * without the queue, work is accepted and waits. @throws `unavailable`, `closed`
   */
  ready(call: Call): Promise<Readiness>;
  /** First half of a shutdown: not ready any more, streams end, every role gives its claims back. Reads still work. Idempotent. */
  stop(): Promise<void>;
  /** The metrics in Prometheus' text format come from this registry. */
  readonly metrics: MetricsRegistry;
  /** Stops, then closes the adapters in reverse order. Idempotent. */
  close(): Promise<void>;
}

/** Puts adapters together. Does no I/O. @throws `invalid_configuration` */
export function createPlatform(options: PlatformOptions): Platform {
  const settings = parseOptions(platformSettingsSchema, options.settings ?? {}, 'settings');
  const { log } = options;
  const metrics = createMetrics(async () => {
    try {
      return await options.queue.stats({ signal: AbortSignal.timeout(1_000), log });
    } catch (err) {
      log.warn({ err }, 'the queue does not tell its depth');
      return { depth: { build: Number.NaN, deployment: Number.NaN }, oldestAgeSeconds: Number.NaN };
    }
  });
  const context: PlatformContext = {
    store: superviseAdapter('store', options.store, metrics, { archiveLog: 3_600_000 }),
    queue: superviseAdapter('queue', options.queue, metrics, { consume: null }),
    pipeline: superviseAdapter('pipeline', options.pipeline, metrics, { start: 300_000 }),
    registry: superviseAdapter('registry', options.registry, metrics),
    artifacts: superviseAdapter('artifacts', options.artifacts, metrics, { put: 3_600_000 }),
    deployer: superviseAdapter('deployer', options.deployer, metrics, { apply: 600_000 }),
    budget: options.budget,
    notifiers: (options.notifiers ?? []).map((each) => superviseAdapter('notifier', each, metrics)),
    sourceFetcher: options.sourceFetcher
      ? superviseAdapter('sources', options.sourceFetcher, metrics, { fetchGit: 600_000 })
      : null,
    settings,
    clock: options.clock ?? systemClock,
    bell: createBell(),
    metrics,
    log,
  };
  for (const { name } of context.notifiers) metrics.addNotifier(name);
  const adapters = [
    context.store,
    context.artifacts,
    context.registry,
    context.queue,
    context.pipeline,
    context.deployer,
    ...context.notifiers,
    ...(context.sourceFetcher ? [context.sourceFetcher] : []),
  ];
  const stopping = new AbortController();
  const running = new Set<Promise<unknown>>();
  let closed: Promise<void> | undefined;

  async function stop(): Promise<void> {
    stopping.abort(new CygniError('closed', 'the platform is stopping'));
    await Promise.allSettled(running);
  }

  async function closeAll(): Promise<void> {
    await stop();
    const errors: unknown[] = [];
    for (const adapter of adapters.toReversed()) {
      try {
        await adapter.close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'some adapters did not close');
  }

  function startRole(role: Role, call: Call): readonly Promise<void>[] {
    switch (role) {
      case 'relay':
        return [relayOutbox(context, call)];
      case 'sweeper':
        return [
          sweepRegularly(context, call),
          endOrphansRegularly(context, call),
          archiveLogs(context, call),
          pruneRegularly(context, call),
        ];
      case 'notifier':
        return [notifyOthers(context, call)];
      case 'builds':
        return [consumeMessages(context, 'build', settings.buildConcurrency, workOnBuild, call)];
      case 'rollouts':
        return [
          consumeMessages(
            context,
            'deployment',
            settings.rolloutConcurrency,
            workOnDeployment,
            call,
          ),
          reconcileRegularly(context, call),
        ];
    }
  }

  return {
    builds: createBuilds(context),
    sources: createSources(context),
    deployments: createDeployments(context),
    services: createServices(context),
    budgets: createBudgets(context),
    webhooks: createWebhooks(context),
    settings,
    registryHost: context.registry.host,
    stopping: stopping.signal,
    metrics: metrics.registry,
    async open(signal) {
      try {
        for (const adapter of adapters) await adapter.open({ signal, log });
      } catch (error) {
        await closeAll();
        throw error;
      }
    },
    async run({ roles: wanted, signal }) {
      const call: Call = { signal: AbortSignal.any([signal, stopping.signal]), log };
      const work = Promise.all(wanted.flatMap((role) => startRole(role, call)));
      running.add(work);
      try {
        await work;
      } finally {
        running.delete(work);
      }
    },
    async ready(call) {
      stopping.signal.throwIfAborted();
      const [, queueAnswers] = await Promise.all([
        context.store.ping(call),
        pingQueue(context, call),
      ]);
      return { degraded: queueAnswers ? [] : ['queue'] };
    },
    stop,
    close() {
      closed ??= closeAll();
      return closed;
    },
  };
}

async function pingQueue({ queue }: PlatformContext, call: Call): Promise<boolean> {
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(queuePingMs)]);
  try {
    await queue.ping({ ...call, signal });
    return true;
  } catch (err) {
    call.log.warn({ err }, 'the queue is out of reach; what is accepted waits');
    return false;
  }
}
