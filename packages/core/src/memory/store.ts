import type { BudgetLimit } from '../contracts/budget-policy.ts';
import { type Call, SPEC_VERSION } from '../contracts/call.ts';
import type {
  BudgetChange,
  DispatchOptions,
  PruneOptions,
  Store,
  SweepOptions,
} from '../contracts/store.ts';
import { abortedError, CygniError } from '../errors.ts';
import { idSchema } from '../model/names.ts';
import type { PageRequest } from '../model/page.ts';
import { openAccount, setBudget, underLimit } from './store-accounts.ts';
import { buildMethods } from './store-builds.ts';
import { deliveryMethods } from './store-deliveries.ts';
import { deploymentMethods } from './store-deployments.ts';
import { dispatchBuilds } from './store-dispatch.ts';
import { beginArchive, completeArchive } from './store-log-archives.ts';
import { pruneState } from './store-retention.ts';
import { serviceMethods } from './store-services.ts';
import { sourceMethods } from './store-sources.ts';
import { checkCursor, listPage, type StoreState } from './store-state.ts';
import { sweepState } from './store-sweep.ts';
import { webhookMethods } from './store-webhooks.ts';

export interface MemoryStoreOptions {
  /** The store's own clock, by which leases run out. Default: the machine's. */
  readonly now?: () => Date;
  /** How often a deployment is tried when its workers die. Default 5. */
  readonly maximumDeploymentAttempts?: number;
}

/**
 * Keeps the truth inside this process and forgets it when the process ends: for tests and for trying things out.
 * Every method changes what it changes in one go, without waiting in between, which makes it atomic.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const { now = () => new Date(), maximumDeploymentAttempts = 5 } = options;
  const state: StoreState = {
    now: () => now().getTime(),
    maximumDeploymentAttempts,
    sources: new Map(),
    builds: new Map(),
    deployments: new Map(),
    services: new Map(),
    accounts: new Map(),
    budgets: new Map(),
    holds: new Map(),
    keys: new Map(),
    events: [],
    endpoints: new Map(),
    notifiers: new Map(),
    deliveries: [],
    turns: new Map(),
    outbox: [],
    garbage: [],
  };
  let closed = false;

  function check({ signal }: Call): void {
    if (closed) throw new CygniError('closed', 'the store is closed');
    if (signal.aborted) throw abortedError(signal);
  }

  /** What is returned is a copy: the caller can change it without changing the truth. */
  function atomic<Args extends unknown[], Result>(run: (...args: Args) => Result) {
    return async (...all: [...Args, Call]): Promise<Result> => {
      check(all.at(-1) as Call);
      return structuredClone(run(...(all.slice(0, -1) as Args)));
    };
  }

  const sources = sourceMethods(state);
  const builds = buildMethods(state);
  const deployments = deploymentMethods(state);
  const services = serviceMethods(state);
  const webhooks = webhookMethods(state);
  const deliveries = deliveryMethods(state);

  return {
    specVersion: SPEC_VERSION,
    name: 'memory',
    open: atomic(() => {}),
    async close() {
      closed = true;
    },
    ping: atomic(() => {}),

    addSource: atomic(sources.addSource),
    getSource: atomic(sources.getSource),

    acceptBuild: atomic(builds.acceptBuild),
    getBuild: atomic(builds.getBuild),
    listBuilds: atomic(builds.listBuilds),
    claimBuild: atomic(builds.claimBuild),
    heartbeatBuild: atomic(builds.heartbeatBuild),
    finishBuild: atomic(builds.finishBuild),
    releaseBuild: atomic(builds.releaseBuild),
    cancelBuild: atomic(builds.cancelBuild),
    findOrphanedRuns: atomic(builds.findOrphanedRuns),
    appendLog: atomic(builds.appendLog),
    readLog: atomic(builds.readLog),
    async archiveLog({ leaseSeconds }, write, call) {
      check(call);
      const begun = beginArchive(state, leaseSeconds);
      if (!begun) return false;
      await write(begun.archive);
      completeArchive(state, begun.work, begun.archive.key);
      return true;
    },
    getLogArchive: atomic(builds.getLogArchive),

    acceptDeployment: atomic(deployments.acceptDeployment),
    getDeployment: atomic(deployments.getDeployment),
    listDeployments: atomic(deployments.listDeployments),
    claimDeployment: atomic(deployments.claimDeployment),
    heartbeatDeployment: atomic(deployments.heartbeatDeployment),
    advanceDeployment: atomic(deployments.advanceDeployment),
    finishDeployment: atomic(deployments.finishDeployment),
    releaseDeployment: atomic(deployments.releaseDeployment),

    getService: atomic(services.getService),
    listServices: atomic(services.listServices),
    getRevision: atomic(services.getRevision),
    listRevisions: atomic(services.listRevisions),
    listSettledServices: atomic(services.listSettledServices),
    setServiceUrl: atomic(services.setServiceUrl),

    getAccount: atomic((tenantId: string, currency: string, limit: BudgetLimit) =>
      underLimit(openAccount(state, tenantId, currency, limit), limit),
    ),
    setBudget: atomic(
      (tenantId: string, currency: string, limit: BudgetLimit, change: BudgetChange) =>
        setBudget(state, tenantId, currency, limit, change),
    ),

    dispatchBuilds: atomic((options: DispatchOptions) => dispatchBuilds(state, options)),
    async takeOutbox(limit, deliver, call) {
      check(call);
      const rows = state.outbox.filter(({ taken }) => !taken).slice(0, limit);
      if (rows.length === 0) return 0;
      for (const row of rows) row.taken = true;
      try {
        await deliver(rows.map(({ message }) => message));
      } catch (error) {
        for (const row of rows) row.taken = false;
        throw error;
      }
      const delivered = new Set(rows);
      state.outbox = state.outbox.filter((row) => !delivered.has(row));
      return rows.length;
    },
    sweep: atomic((sweep: SweepOptions) => sweepState(state, sweep)),

    prune: atomic((prune: PruneOptions) => pruneState(state, prune)),
    async takeGarbage(limit, remove, call) {
      check(call);
      const rows = state.garbage.filter(({ taken }) => !taken).slice(0, limit);
      if (rows.length === 0) return 0;
      for (const row of rows) row.taken = true;
      try {
        await remove(rows.map(({ key }) => key));
      } catch (error) {
        for (const row of rows) row.taken = false;
        throw error;
      }
      const removed = new Set(rows);
      state.garbage = state.garbage.filter((row) => !removed.has(row));
      return rows.length;
    },

    listEvents: atomic((tenantId: string, page: PageRequest) => {
      checkCursor(page, (id) => idSchema.safeParse(id).success);
      const own = state.events.filter((event) => event.tenantId === tenantId);
      return listPage(own, page, ({ createdAt, id }) => ({ createdAt, id }));
    }),

    addWebhookEndpoint: atomic(webhooks.addWebhookEndpoint),
    getWebhookEndpoint: atomic(webhooks.getWebhookEndpoint),
    listWebhookEndpoints: atomic(webhooks.listWebhookEndpoints),
    updateWebhookEndpoint: atomic(webhooks.updateWebhookEndpoint),
    rotateWebhookSecret: atomic(webhooks.rotateWebhookSecret),
    deleteWebhookEndpoint: atomic(webhooks.deleteWebhookEndpoint),

    announceNotifier: atomic(deliveries.announceNotifier),
    claimDeliveries: atomic(deliveries.claimDeliveries),
    finishDelivery: atomic(deliveries.finishDelivery),
    getDelivery: atomic(deliveries.getDelivery),
    listDeliveries: atomic(deliveries.listDeliveries),
    redeliver: atomic(deliveries.redeliver),
    pruneDeliveries: atomic(deliveries.pruneDeliveries),
  };
}
