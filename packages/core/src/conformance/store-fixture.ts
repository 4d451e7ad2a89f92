import { randomUUID } from 'node:crypto';
import type { BudgetLimit } from '../contracts/budget-policy.ts';
import type { Call } from '../contracts/call.ts';
import type { Message } from '../contracts/queue.ts';
import type {
  BuildFinish,
  DeploymentFinish,
  Fence,
  IdempotencyKey,
  NewBuild,
  NewDeployment,
  Reservation,
  Store,
} from '../contracts/store.ts';
import type { Account } from '../model/budget.ts';
import { healthCheckSchema, rolloutSchema } from '../model/deployment.ts';
import type { Page, PageRequest } from '../model/page.ts';

/** A store to test, empty. */
export interface StoreUnderTest {
  readonly store: Store;
  /** Makes it seem to the store that this much time has passed: leases and idempotency records run out, work has waited, everything is older. */
  elapse(seconds: number): Promise<void>;
  /** After the test. The store may be closed already. */
  dispose(): Promise<void>;
}

export const call: Call = {
  signal: new AbortController().signal,
  log: { debug() {}, info() {}, warn() {}, error() {} },
};

export const leaseSeconds = 30;
export const digest = `sha256:${'a'.repeat(64)}`;
export const finished: BuildFinish = {
  state: 'SUCCEEDED',
  image: { repository: 'acme/site', digest, sizeBytes: 1_000 },
  failure: null,
  charge: 40,
};
export const succeeded: DeploymentFinish = {
  state: 'SUCCEEDED',
  evidence: null,
  charge: 5,
  url: 'http://site.test',
};

/** Short words for what most tests do. */
export interface Fixture extends StoreUnderTest {
  readonly tenantId: string;
  source(tenantId?: string): Promise<string>;
  newBuild(changes?: Partial<NewBuild>): Promise<NewBuild>;
  reservation(changes?: { readonly amount?: number; readonly cap?: number | null }): Reservation;
  /** An accepted build: 100 reserved, no cap. */
  queuedBuild(changes?: Partial<NewBuild>): Promise<string>;
  /** One that may be claimed. */
  dispatchedBuild(changes?: Partial<NewBuild>): Promise<string>;
  runningBuild(changes?: Partial<NewBuild>): Promise<Fence>;
  newDeployment(changes?: Partial<NewDeployment>): NewDeployment;
  queuedDeployment(changes?: Partial<NewDeployment>): Promise<string>;
  runningDeployment(changes?: Partial<NewDeployment>): Promise<Fence>;
  deployed(changes?: Partial<NewDeployment>): Promise<void>;
  account(): Promise<Account>;
  /** Lets every queued build through. */
  dispatchAll(): Promise<void>;
  /** Lets every queued build through and empties the outbox. */
  messages(): Promise<readonly Message[]>;
  eventTypes(): Promise<readonly string[]>;
  /** Empties the list of artifacts to be deleted. */
  garbage(): Promise<readonly string[]>;
}

export const limit: BudgetLimit = {
  cap: null,
  periodStart: '2026-01-01T00:00:00.000Z',
  periodEnd: '2026-02-01T00:00:00.000Z',
};

export function idempotencyKey(changes: Partial<IdempotencyKey> = {}): IdempotencyKey {
  return { route: 'POST /v1/builds', key: 'k', fingerprint: 'f', retainSeconds: 60, ...changes };
}

/** Every item of a list, page by page. */
export async function readAll<Item>(
  list: (page: PageRequest) => Promise<Page<Item>>,
  pageSize: number,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Item> = await list({ limit: pageSize, cursor });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}

export function createFixture(under: StoreUnderTest): Fixture {
  const { store } = under;
  const tenantId = 'acme';

  const fixture: Fixture = {
    ...under,
    tenantId,
    async source(owner = tenantId) {
      const id = randomUUID();
      const key = `sources/${owner}/${id}`;
      const source = { id, tenantId: owner, key, sizeBytes: 10, sha256: 'b'.repeat(64) };
      await store.addSource(source, null, call);
      return id;
    },
    async newBuild(changes = {}) {
      return {
        id: randomUUID(),
        tenantId,
        sourceId: changes.sourceId ?? (await fixture.source(changes.tenantId)),
        repository: 'site',
        tags: ['latest', 'v1'],
        dockerfile: 'Dockerfile',
        target: null,
        buildArguments: { GREETING: 'hello' },
        machine: 'small',
        timeoutSeconds: 600,
        maximumAttempts: 3,
        ...changes,
      };
    },
    reservation: ({ amount = 100, cap = null } = {}) => ({
      amount,
      currency: 'USD',
      limit: { ...limit, cap },
    }),
    async queuedBuild(changes) {
      const build = await fixture.newBuild(changes);
      await store.acceptBuild(build, fixture.reservation(), null, call);
      return build.id;
    },
    async dispatchedBuild(changes) {
      const id = await fixture.queuedBuild(changes);
      await fixture.dispatchAll();
      return id;
    },
    async runningBuild(changes) {
      const id = await fixture.dispatchedBuild(changes);
      const claim = await store.claimBuild(id, leaseSeconds, call);
      return { id, attempt: claim?.build.attempt ?? 0 };
    },
    newDeployment: (changes = {}) => ({
      id: randomUUID(),
      tenantId,
      service: 'site',
      rollout: rolloutSchema.parse({}),
      message: null,
      target: {
        repository: 'acme/site',
        digest,
        buildId: null,
        environment: { MODE: 'production' },
        arguments: ['--serve'],
        healthCheck: healthCheckSchema.parse({}),
      },
      ...changes,
    }),
    async queuedDeployment(changes) {
      const deployment = fixture.newDeployment(changes);
      const reservation = fixture.reservation({ amount: 10 });
      await store.acceptDeployment(deployment, reservation, null, call);
      return deployment.id;
    },
    async runningDeployment(changes) {
      const id = await fixture.queuedDeployment(changes);
      const claim = await store.claimDeployment(id, leaseSeconds, call);
      return { id, attempt: claim?.deployment.attempt ?? 0 };
    },
    async deployed(changes) {
      await store.finishDeployment(await fixture.runningDeployment(changes), succeeded, call);
    },
    account: () => store.getAccount(tenantId, 'USD', limit, call),
    async dispatchAll() {
      const everything = { maximumPerTenant: 1_000, maximumUnclaimed: 1_000, limit: 1_000 };
      await store.dispatchBuilds(everything, call);
    },
    async messages() {
      await fixture.dispatchAll();
      const all: Message[] = [];
      const deliver = async (messages: readonly Message[]) => {
        all.push(...messages);
      };
      while ((await store.takeOutbox(100, deliver, call)) > 0);
      return all;
    },
    async garbage() {
      const all: string[] = [];
      const remove = async (keys: readonly string[]) => {
        all.push(...keys);
      };
      while ((await store.takeGarbage(100, remove, call)) > 0);
      return all;
    },
    async eventTypes() {
      const { items } = await store.listEvents(tenantId, { limit: 100, cursor: null }, call);
      return items.map(({ type }) => type);
    },
  };
  return fixture;
}
