import { randomUUID } from 'node:crypto';
import {
  type BudgetLimit,
  type Fence,
  healthCheckSchema,
  type IdempotencyKey,
  type Message,
  type MessageKind,
  type NewBuild,
  type NewDeployment,
  type Reservation,
  rolloutSchema,
  type Store,
} from '@cygni/core';
import { call } from '../support/calls.ts';
import type { Step } from './steps.ts';

export const leaseSeconds = 30;
export const sweepOptions = { queuedSeconds: 50, limit: 1_000 };

/** So little that it matters; and that none of it is left to a store's own choice. */
export const dispatchOptions = { maximumPerTenant: 2, maximumUnclaimed: 1_000, limit: 1_000 };

/** What has happened in a history, as far as its steps refer to it. */
export interface World {
  readonly tenants: readonly string[];
  readonly sources: ReadonlyMap<string, string>;
  readonly builds: NewBuild[];
  readonly deployments: NewDeployment[];
  /** All that were ever handed out, in their order. */
  readonly fences: Readonly<Record<MessageKind, Fence[]>>;
  /** How many messages the queue was given. */
  delivered: number;
  month: number;
}

/** A step with everything chosen, so that it can be done in several stores, or beside others. */
export interface Action {
  /** Whose write it is, where it is a worker's. */
  readonly fence?: Fence;
  /** The work that it would take. */
  readonly claims?: string;
  run(store: Store): Promise<unknown>;
  /** What comes of it for the world, where it succeeded. */
  learn?(result: unknown): void;
}

const alertAt = [50, 75, 90, 100];

export const refusal = new Error('the queue is down');

export function createWorld(): World {
  const name = randomUUID().slice(0, 8);
  const tenants = [`${name}-a`, `${name}-b`];
  return {
    tenants,
    sources: new Map(tenants.map((tenantId) => [tenantId, randomUUID()])),
    builds: [],
    deployments: [],
    fences: { build: [], deployment: [] },
    delivered: 0,
    month: 0,
  };
}

export async function addSources({ sources }: World, store: Store): Promise<void> {
  for (const [tenantId, id] of sources) {
    await store.addSource({ id, tenantId, key: 'k', sizeBytes: 1, sha256: 's' }, null, call);
  }
}

export function limitOf(month: number, cap: number | null): BudgetLimit {
  return {
    cap,
    periodStart: new Date(Date.UTC(2026, month)).toISOString(),
    periodEnd: new Date(Date.UTC(2026, month + 1)).toISOString(),
  };
}

/** Null: there is nothing yet that the step could be about. */
export function actionOf(step: Step, world: World): Action | null {
  const tenantOf = (index: number) => world.tenants[index] ?? '';
  const reservation = (amount: number, cap: number | null): Reservation => ({
    amount,
    currency: 'USD',
    limit: limitOf(world.month, cap),
  });

  function withFence(
    kind: MessageKind,
    { pick, off }: { readonly pick: number; readonly off: number },
    run: (store: Store, fence: Fence) => Promise<unknown>,
  ): Action | null {
    const given = newest(world.fences[kind], pick);
    if (!given) return null;
    const fence = { id: given.id, attempt: given.attempt + off };
    return { fence, run: (store) => run(store, fence) };
  }

  function claiming(
    kind: MessageKind,
    id: string | undefined,
    run: (store: Store, id: string) => Promise<{ readonly attempt: number } | null>,
  ): Action | null {
    if (id === undefined) return null;
    return {
      claims: id,
      run: (store) => run(store, id),
      learn(result) {
        const attempt = attemptIn(result);
        if (attempt !== null) world.fences[kind].push({ id, attempt });
      },
    };
  }

  switch (step.type) {
    case 'acceptBuild': {
      const tenantId = tenantOf(step.tenant);
      const build = newBuild(tenantId, world.sources.get(tenantId) ?? '', step.maximumAttempts);
      return {
        run: (store) =>
          store.acceptBuild(
            build,
            reservation(step.amount, step.policyCap),
            keyOf('builds', step.key),
            call,
          ),
        learn: (result) => {
          if (!isReplay(result)) world.builds.push(build);
        },
      };
    }
    case 'acceptAgain': {
      const build = newest(world.builds, step.pick);
      if (!build) return null;
      const again = reservation(step.amount, step.policyCap);
      return { run: (store) => store.acceptBuild(build, again, null, call) };
    }
    case 'dispatch':
      return { run: (store) => store.dispatchBuilds(dispatchOptions, call) };
    case 'claimBuild':
      return claiming('build', newest(world.builds, step.pick)?.id, async (store, id) => {
        const claim = await store.claimBuild(id, leaseSeconds, call);
        return claim && { ...claim, attempt: claim.build.attempt };
      });
    case 'heartbeatBuild':
      return withFence('build', step, (store, fence) =>
        store.heartbeatBuild(fence, leaseSeconds, call),
      );
    case 'appendLog': {
      const { position } = step;
      const lines = Array.from({ length: step.lines }, () => ({ time: 't', text: 'line' }));
      return withFence('build', step, (store, fence) =>
        store.appendLog({ ...fence, position, lines }, call),
      );
    }
    case 'finishBuild': {
      const { state, charge } = step;
      const image = { repository: 'r', digest: `sha256:${'a'.repeat(64)}`, sizeBytes: 1 };
      const failure = { reason: 'oom', message: 'm', platformFault: false } as const;
      const end = {
        state,
        image: state === 'SUCCEEDED' ? image : null,
        failure: state === 'FAILED' ? failure : null,
        charge,
        alertAt,
      };
      return withFence('build', step, (store, fence) => store.finishBuild(fence, end, call));
    }
    case 'releaseBuild':
      return withFence('build', step, (store, fence) =>
        store.releaseBuild(fence, { countAttempt: step.countAttempt }, call),
      );
    case 'cancelBuild': {
      const build = newest(world.builds, step.pick);
      return build && { run: (store) => store.cancelBuild(build.tenantId, build.id, call) };
    }
    case 'acceptDeployment': {
      const deployment = newDeployment(tenantOf(step.tenant), step.service, {
        repository: 'r',
        digest: `sha256:${'a'.repeat(64)}`,
        buildId: null,
        environment: {},
        arguments: null,
        healthCheck: healthCheckSchema.parse({}),
      });
      return {
        run: (store) =>
          store.acceptDeployment(
            deployment,
            reservation(step.amount, step.policyCap),
            keyOf('deployments', step.key),
            call,
          ),
        learn: (result) => {
          if (!isReplay(result)) world.deployments.push(deployment);
        },
      };
    }
    case 'deployAgain': {
      const deployment = newest(world.deployments, step.pick);
      if (!deployment) return null;
      const again = reservation(step.amount, step.policyCap);
      return { run: (store) => store.acceptDeployment(deployment, again, null, call) };
    }
    case 'rollBack': {
      const target = { rollbackTo: step.to };
      const deployment = newDeployment(tenantOf(step.tenant), step.service, target);
      return {
        run: (store) => store.acceptDeployment(deployment, reservation(100, null), null, call),
        learn: () => {
          world.deployments.push(deployment);
        },
      };
    }
    case 'claimDeployment':
      return claiming('deployment', newest(world.deployments, step.pick)?.id, async (store, id) => {
        const claim = await store.claimDeployment(id, leaseSeconds, call);
        return claim && { ...claim, attempt: claim.deployment.attempt };
      });
    case 'heartbeatDeployment':
      return withFence('deployment', step, (store, fence) =>
        store.heartbeatDeployment(fence, leaseSeconds, call),
      );
    case 'advanceDeployment':
      return withFence('deployment', step, (store, fence) =>
        store.advanceDeployment(fence, step.phase, call),
      );
    case 'finishDeployment': {
      const { state, charge } = step;
      const end = { state, charge, alertAt, evidence: null, url: 'http://site.test' };
      return withFence('deployment', step, (store, fence) =>
        store.finishDeployment(fence, end, call),
      );
    }
    case 'releaseDeployment':
      return withFence('deployment', step, (store, fence) =>
        store.releaseDeployment(fence, { countAttempt: step.countAttempt }, call),
      );
    case 'setBudget': {
      const limit = limitOf(world.month, 400);
      return {
        run: (store) =>
          store.setBudget(tenantOf(step.tenant), 'USD', limit, { cap: step.cap }, call),
      };
    }
    case 'getAccount': {
      const limit = limitOf(world.month, step.policyCap);
      return { run: (store) => store.getAccount(tenantOf(step.tenant), 'USD', limit, call) };
    }
    case 'takeOutbox':
      return {
        async run(store) {
          const taken: Message[] = [];
          await store.takeOutbox(
            step.limit,
            async (messages) => {
              if (step.fails) throw refusal;
              taken.push(...messages);
            },
            call,
          );
          return taken.sort((left, right) => left.id.localeCompare(right.id));
        },
        learn: (result) => {
          world.delivered += Array.isArray(result) ? result.length : 0;
        },
      };
    case 'sweep':
      return { run: (store) => store.sweep(sweepOptions, call) };
    case 'rollOver':
      return {
        async run() {},
        learn: () => {
          world.month += 1;
        },
      };
    case 'elapse':
      return null;
  }
}

function newest<Item>(items: readonly Item[], pick: number): Item | null {
  return items.at(-1 - (pick % Math.max(1, items.length))) ?? null;
}

function attemptIn(result: unknown): number | null {
  const has = typeof result === 'object' && result !== null && 'attempt' in result;
  return has ? Number(result.attempt) : null;
}

function isReplay(result: unknown): boolean {
  return (
    typeof result === 'object' &&
    result !== null &&
    'replayed' in result &&
    result.replayed === true
  );
}

function keyOf(
  route: string,
  key: { readonly name: number; readonly fingerprint: number } | null,
): IdempotencyKey | null {
  if (!key) return null;
  return { route, key: `k${key.name}`, fingerprint: `f${key.fingerprint}`, retainSeconds: 90 };
}

function newBuild(tenantId: string, sourceId: string, maximumAttempts: number): NewBuild {
  return {
    id: randomUUID(),
    tenantId,
    sourceId,
    repository: 'site',
    tags: ['latest'],
    dockerfile: 'Dockerfile',
    target: null,
    buildArguments: {},
    machine: 'small',
    timeoutSeconds: 60,
    maximumAttempts,
  };
}

function newDeployment(
  tenantId: string,
  service: number,
  target: NewDeployment['target'],
): NewDeployment {
  const rollout = rolloutSchema.parse({});
  return {
    id: randomUUID(),
    tenantId,
    service: `service-${service}`,
    rollout,
    message: null,
    target,
  };
}
