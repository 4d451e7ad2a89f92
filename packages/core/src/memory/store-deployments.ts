import type { ServiceKey } from '../contracts/deployer.ts';
import type {
  Accepted,
  DeploymentClaim,
  DeploymentFinish,
  Fence,
  Heartbeat,
  IdempotencyKey,
  NewDeployment,
  Reservation,
} from '../contracts/store.ts';
import { CygniError, preconditionError } from '../errors.ts';
import type { Deployment, DeploymentPhase, Revision } from '../model/deployment.ts';
import { idSchema } from '../model/names.ts';
import type { Page, PageRequest } from '../model/page.ts';
import {
  findAccount,
  hold,
  keepAccount,
  mustCover,
  openHold,
  underLimit,
} from './store-accounts.ts';
import {
  checkCursor,
  type DeploymentWork,
  enqueue,
  isoNow,
  keyOf,
  listPage,
  record,
  recordService,
  rememberKey,
  replayOf,
  type ServiceRecord,
  type StoreState,
} from './store-state.ts';
import {
  claim,
  finish,
  hasAttemptsLeft,
  hasEndedAlike,
  held,
  isFree,
  isOpen,
  prolong,
  recordReleased,
} from './store-work.ts';

export function deploymentMethods(state: StoreState) {
  const { deployments } = state;

  function find(tenantId: string, id: string): DeploymentWork | undefined {
    const work = deployments.get(id);
    return work?.resource.tenantId === tenantId ? work : undefined;
  }

  /** The number to roll back to, checked. */
  function rollbackTarget(
    { service }: NewDeployment,
    known: ServiceRecord | undefined,
    { rollbackTo: to, expected }: Extract<NewDeployment['target'], { rollbackTo: unknown }>,
  ) {
    if (!known) throw new CygniError('not_found', `no service ${service}`);
    const { stableRevision, previousRevision } = known.service;
    if (
      expected &&
      (expected.stableRevision !== stableRevision || expected.previousRevision !== previousRevision)
    ) {
      throw preconditionError();
    }
    const number = to ?? known.service.previousRevision;
    if (number === null) {
      throw new CygniError('conflict', `service ${service} has no revision to roll back to`);
    }
    if (!known.revisions.some((revision) => revision.number === number)) {
      throw new CygniError('not_found', `no revision ${number} of ${service}`);
    }
    return number;
  }

  function createService(tenantId: string, name: string): ServiceRecord {
    const now = isoNow(state);
    const created: ServiceRecord = {
      service: {
        tenantId,
        name,
        stableRevision: null,
        previousRevision: null,
        url: null,
        createdAt: now,
        updatedAt: now,
      },
      revisions: [],
      replacedAt: new Map(),
      lastPosition: 0,
    };
    state.services.set(keyOf(tenantId, name), created);
    recordService(state, 'service.created', created.service, {});
    return created;
  }

  return {
    acceptDeployment(
      deployment: NewDeployment,
      reservation: Reservation,
      idempotency: IdempotencyKey | null,
    ): Accepted<Deployment> {
      const { id, tenantId, service: name, target, rollout, message } = deployment;
      const before = replayOf(state, tenantId, idempotency, find) ?? find(tenantId, id);
      if (before) return { resource: before.resource, replayed: true };

      const known = state.services.get(keyOf(tenantId, name));
      const isRollback = 'rollbackTo' in target;
      const revision = isRollback
        ? rollbackTarget(deployment, known, target)
        : (known?.revisions.length ?? 0) + 1;
      const superseded = queuedOf(state, { tenantId, service: name });
      const account = findAccount(state, tenantId, reservation.currency, reservation.limit);
      if (!isRollback) {
        const freed = superseded
          .map(({ resource }) => openHold(state, resource.id))
          .filter((each) => each?.account === account)
          .reduce((sum, each) => sum + (each?.amount ?? 0), 0);
        mustCover(underLimit(account, reservation.limit), reservation.amount, freed);
        keepAccount(state, account);
      }

      if (idempotency) rememberKey(state, tenantId, idempotency, id);
      const owner = known ?? createService(tenantId, name);
      owner.lastPosition += 1;
      if (!isRollback) {
        const created: Revision = {
          tenantId,
          service: name,
          number: revision,
          ...target,
          environment: { ...target.environment },
          arguments: target.arguments && [...target.arguments],
          healthyAt: null,
          createdAt: isoNow(state),
        };
        owner.revisions.push(created);
      }
      for (const work of superseded) {
        const end = { state: 'SUPERSEDED', supersededBy: id, phase: 'DONE' } as const;
        finish(state, work, end, { charge: 0, reason: null });
      }
      const resource: Deployment = {
        id,
        tenantId,
        service: name,
        revision,
        kind: isRollback ? 'rollback' : 'deploy',
        state: 'QUEUED',
        phase: 'PENDING',
        attempt: 0,
        rollout,
        message,
        evidence: null,
        supersededBy: null,
        currency: reservation.currency,
        estimate: isRollback ? 0 : reservation.amount,
        cost: null,
        createdAt: isoNow(state),
        startedAt: null,
        finishedAt: null,
      };
      const work: DeploymentWork = {
        kind: 'deployment',
        resource,
        maximumAttempts: state.maximumDeploymentAttempts,
        traceparent: deployment.traceparent ?? null,
        countedAttempts: 0,
        cancelRequested: false,
        leaseUntil: null,
        enqueuedAt: 0,
        position: owner.lastPosition,
      };
      deployments.set(id, work);
      if (!isRollback) hold(state, id, account, reservation);
      const { kind, estimate } = resource;
      const data = { service: name, revision, kind, estimate };
      record(state, { tenantId, type: 'deployment.accepted', subject: id, data });
      enqueue(state, work);
      return { resource, replayed: false };
    },

    getDeployment: (tenantId: string, id: string): Deployment | null =>
      find(tenantId, id)?.resource ?? null,

    listDeployments(
      tenantId: string,
      { service }: { readonly service: string | null },
      page: PageRequest,
    ): Page<Deployment> {
      checkCursor(page, (id) => idSchema.safeParse(id).success);
      const own = [...deployments.values()]
        .map(({ resource }) => resource)
        .filter((each) => each.tenantId === tenantId)
        .filter((each) => service === null || each.service === service);
      return listPage(own, page, ({ createdAt, id }) => ({ createdAt, id }));
    },

    claimDeployment(id: string, leaseSeconds: number): DeploymentClaim | null {
      const work = deployments.get(id);
      if (!work || !isFree(state, work) || !hasAttemptsLeft(work)) return null;
      const { tenantId, service: name, revision: number } = work.resource;
      const earlier = deploymentsOf(state, { tenantId, service: name }).some(
        (each) => each.position < work.position && isOpen(each),
      );
      if (earlier) return null;
      const owner = state.services.get(keyOf(tenantId, name));
      const revision = owner?.revisions[number - 1];
      if (!owner || !revision)
        throw new CygniError('internal', 'a deployment without its revision');
      work.resource = { ...work.resource, ...claim(state, work, leaseSeconds) };
      const { service } = owner;
      const stable = owner.revisions[(service.stableRevision ?? 0) - 1] ?? null;
      const { resource, traceparent } = work;
      return { deployment: resource, revision, service, stable, traceparent };
    },

    heartbeatDeployment: (fence: Fence, leaseSeconds: number): Heartbeat | null =>
      prolong(state, held(deployments, fence), leaseSeconds),

    advanceDeployment(fence: Fence, phase: DeploymentPhase): boolean {
      const work = held(deployments, fence);
      if (!work) return false;
      const { tenantId, attempt } = work.resource;
      work.resource = { ...work.resource, phase };
      const data = { phase, attempt };
      record(state, { tenantId, type: 'deployment.advanced', subject: fence.id, data });
      return true;
    },

    finishDeployment(
      fence: Fence,
      { charge, alertAt = [], url, ...end }: DeploymentFinish,
    ): boolean {
      const work = held(deployments, fence);
      if (!work) return hasEndedAlike(deployments, fence, end);
      const reason = end.evidence?.rule ?? null;
      finish(state, work, { ...end, phase: 'DONE' }, { charge, alertAt, reason });
      settleService(state, work.resource, url);
      wakeNext(state, work.resource);
      return true;
    },

    releaseDeployment(fence: Fence, { countAttempt }: { readonly countAttempt: boolean }): boolean {
      const work = held(deployments, fence);
      if (!work) return false;
      if (!countAttempt) work.countedAttempts -= 1;
      work.resource = { ...work.resource, state: 'QUEUED' };
      work.leaseUntil = null;
      recordReleased(state, work, countAttempt);
      enqueue(state, work);
      return true;
    },
  };
}

function deploymentsOf(state: StoreState, { tenantId, service }: ServiceKey): DeploymentWork[] {
  return [...state.deployments.values()].filter(
    ({ resource }) => resource.tenantId === tenantId && resource.service === service,
  );
}

function queuedOf(state: StoreState, key: ServiceKey): DeploymentWork[] {
  return deploymentsOf(state, key)
    .filter(({ resource }) => resource.state === 'QUEUED')
    .sort((left, right) => left.position - right.position);
}

/** Wakes the next deployment of the service up, after one has ended. */
export function wakeNext(state: StoreState, key: ServiceKey): void {
  const [next] = queuedOf(state, key);
  if (next) enqueue(state, next);
}

function settleService(state: StoreState, deployment: Deployment, url: string | null): void {
  const { tenantId, service: name, revision } = deployment;
  const owner = state.services.get(keyOf(tenantId, name));
  if (!owner) return;
  const now = isoNow(state);
  const { stableRevision } = owner.service;
  if (deployment.state === 'SUCCEEDED') {
    const healthy = owner.revisions[revision - 1];
    if (healthy && healthy.healthyAt === null) {
      owner.revisions[revision - 1] = { ...healthy, healthyAt: now };
    }
    owner.service = { ...owner.service, stableRevision: revision, updatedAt: now };
    if (stableRevision !== null && stableRevision !== revision) {
      owner.replacedAt.set(stableRevision, state.now());
    }
    if (stableRevision !== revision) {
      const lastHealthy = owner.revisions
        .slice(0, revision - 1)
        .findLast(({ healthyAt }) => healthyAt !== null);
      const before =
        deployment.kind === 'rollback' ? (lastHealthy?.number ?? null) : stableRevision;
      owner.service = { ...owner.service, previousRevision: before };
      const data = { stableRevision: revision, previousRevision: before };
      recordService(state, 'service.stable_changed', owner.service, data);
    }
  }
  if (url !== null) {
    const changed = url !== owner.service.url;
    owner.service = { ...owner.service, url, updatedAt: now };
    if (changed) recordService(state, 'service.url_changed', owner.service, { url });
  }
}
