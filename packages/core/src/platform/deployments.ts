import { randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import type { ServiceKey } from '../contracts/deployer.ts';
import type { Accepted, IdempotencyKey, NewDeployment, Reservation } from '../contracts/store.ts';
import { CygniError, isCygniError } from '../errors.ts';
import type {
  Deployment,
  DeploymentRequest,
  RollbackRequest,
  Service,
} from '../model/deployment.ts';
import { repositoryOf } from '../model/names.ts';
import type { Page, PageRequest } from '../model/page.ts';
import { blindKey } from './blind-key.ts';
import type { PlatformContext } from './context.ts';
import { currentTraceparent } from './spans.ts';

export interface Deployments {
  /** @throws `budget_exceeded`, `not_found` for the build or image, `conflict` for a build without an image, `idempotency_mismatch` */
  accept(
    tenantId: string,
    request: DeploymentRequest,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Deployment>>;
  /**
   * Never refused for budget reasons.
   * @param expected accept nothing unless the service has the same revisions still
   * @throws `not_found`, `conflict` where there is nothing to return to, `idempotency_mismatch`, `precondition_failed`
   */
  rollBack(
    key: ServiceKey,
    request: RollbackRequest,
    expected: Service | null,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Deployment>>;
  /** @throws `not_found` */
  get(tenantId: string, id: string, call: Call): Promise<Deployment>;
  list(
    tenantId: string,
    filter: { readonly service: string | null },
    page: PageRequest,
    call: Call,
  ): Promise<Page<Deployment>>;
}

export function createDeployments(context: PlatformContext): Deployments {
  const { store, registry, budget, clock, bell, metrics } = context;

  async function imageOf(tenantId: string, request: DeploymentRequest, call: Call) {
    if (request.buildId !== undefined) {
      const build = await store.getBuild(tenantId, request.buildId, call);
      if (!build) throw new CygniError('not_found', `no build ${request.buildId}`);
      if (!build.image) {
        throw new CygniError('conflict', `build ${build.id} is ${build.state} and has no image`);
      }
      return { ...build.image, buildId: build.id };
    }
    if (!request.image) throw new CygniError('invalid_input', 'exactly one of buildId and image');
    const repository = repositoryOf(tenantId, request.image.repository);
    const { digest } = await registry.resolve(repository, request.image.digest, call);
    return { repository, digest, buildId: null };
  }

  async function accept(
    deployment: NewDeployment,
    amount: number,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Deployment>> {
    const limit = budget.limit(deployment.tenantId, clock.now());
    const reservation: Reservation = { amount, currency: budget.currency, limit };
    try {
      const accepted = await store.acceptDeployment(
        { ...deployment, traceparent: currentTraceparent() ?? null },
        reservation,
        blindKey(idempotency),
        call,
      );
      bell.ring('outbox');
      return accepted;
    } catch (error) {
      if (isCygniError(error, 'budget_exceeded')) metrics.budgetRejections.inc();
      throw error;
    }
  }

  return {
    async accept(tenantId, request, idempotency, call) {
      const { repository, digest, buildId } = await imageOf(tenantId, request, call);
      const { environment, healthCheck, rollout, service } = request;
      const deployment: NewDeployment = {
        id: randomUUID(),
        tenantId,
        service,
        rollout,
        message: null,
        target: {
          repository,
          digest,
          buildId,
          environment,
          arguments: request.arguments ?? null,
          healthCheck,
        },
      };
      return accept(deployment, budget.quote({ kind: 'deployment' }), idempotency, call);
    },
    async rollBack({ tenantId, service }, request, expected, idempotency, call) {
      const deployment: NewDeployment = {
        id: randomUUID(),
        tenantId,
        service,
        rollout: request.rollout,
        message: request.message ?? null,
        target: { rollbackTo: request.revision ?? null, ...(expected && { expected }) },
      };
      return accept(deployment, 0, idempotency, call);
    },
    async get(tenantId, id, call) {
      const deployment = await store.getDeployment(tenantId, id, call);
      if (!deployment) throw new CygniError('not_found', `no deployment ${id}`);
      return deployment;
    },
    list: (tenantId, filter, page, call) => store.listDeployments(tenantId, filter, page, call),
  };
}
