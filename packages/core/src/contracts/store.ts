import type { Account } from '../model/budget.ts';
import type {
  Build,
  BuildFailure,
  BuildState,
  BuiltImage,
  CacheUse,
  MachineSize,
} from '../model/build.ts';
import type {
  Deployment,
  DeploymentPhase,
  DeploymentState,
  Evidence,
  HealthCheck,
  Revision,
  Rollout,
  Service,
} from '../model/deployment.ts';
import type { AuditEvent } from '../model/event.ts';
import type { LogLine } from '../model/log.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { GitOrigin, Source } from '../model/source.ts';
import type {
  DeliveredEvent,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookSecret,
} from '../model/webhook.ts';
import type { BudgetLimit } from './budget-policy.ts';
import type { RunName, StoredLog } from './build-pipeline.ts';
import type { Adapter, Call } from './call.ts';
import type { ServiceKey } from './deployer.ts';
import type { Message } from './queue.ts';

/** What makes a repeated request harmless: the same (tenant, route, key) gives the first answer again. */
export interface IdempotencyKey {
  readonly route: string;
  readonly key: string;
  /** Hash of the request body. Another one under the same key is `idempotency_mismatch`. */
  readonly fingerprint: string;
  readonly retainSeconds: number;
}

/** The money to reserve in the transaction that accepts the work. */
export interface Reservation {
  readonly amount: number;
  readonly currency: string;
  /** What the policy says; a limit set by {@link Store.setBudget} takes its place. */
  readonly limit: BudgetLimit;
}

export interface NewSource extends Omit<Source, 'createdAt' | 'git'> {
  /** Default: null. */
  readonly git?: GitOrigin | null;
}

export interface BudgetChange {
  /** Micro-units; null: none. */
  readonly cap: number | null;
  /** Change nothing unless the period's account is as it was here. */
  readonly expected?: Account;
}

/** What is accepted to be worked on later, elsewhere. */
export interface NewWork {
  /** The span of the request, in the form that W3C has given it: whoever claims the work gets it. Default: null. */
  readonly traceparent?: string | null;
}

export interface NewBuild extends NewWork {
  readonly id: string;
  readonly tenantId: string;
  readonly sourceId: string;
  readonly repository: string;
  readonly tags: readonly string[];
  readonly dockerfile: string;
  readonly target: string | null;
  readonly buildArguments: Readonly<Record<string, string>>;
  readonly machine: MachineSize;
  readonly timeoutSeconds: number;
  readonly maximumAttempts: number;
}

export interface Accepted<Resource> {
  readonly resource: Resource;
  /** True: this key was used before and `resource` is what it made then, as it is now. */
  readonly replayed: boolean;
}

/** Who holds a claim. Every write of a worker names it; a write by an outdated holder changes nothing. */
export interface Fence {
  readonly id: string;
  readonly attempt: number;
}

export interface BuildClaim {
  readonly build: Build;
  readonly source: Source;
  /** How often it may be tried again after this attempt. Attempts given back uncounted do not lessen it. */
  readonly attemptsLeft: number;
  readonly run: UnfinishedRun;
  /** That it was accepted with. */
  readonly traceparent: string | null;
}

/**
 * What goes on under a name of its own while claims on it change hands: begun by the first claim after the build was
 * accepted or given back as a counted attempt, and left as it is by one that expired or was given back uncounted.
 */
export interface UnfinishedRun {
  /** The attempt that began it. */
  readonly attempt: number;
  /** Since it began, by the store's clock. */
  readonly ageSeconds: number;
  /** Null: no line of it. */
  readonly storedLog: StoredLog | null;
}

/** What settles a hold. */
export interface Settlement {
  /** Micro-units; settles the hold, the rest of which is released. Lowered to the hold if it is more. */
  readonly charge: number;
  /**
   * Percent of the cap at which an event tells how much of it is spent, in the account that the money was reserved in:
   * once each, and again only after the cap was raised so far that what is spent no longer reaches it. Default: none.
   */
  readonly alertAt?: readonly number[];
}

export interface BuildFinish extends Settlement {
  readonly state: Exclude<BuildState, 'QUEUED' | 'RUNNING'>;
  readonly image: BuiltImage | null;
  /** Default: null. */
  readonly cache?: CacheUse | null;
  readonly failure: BuildFailure | null;
}

/** What a heartbeat learns. */
export interface Heartbeat {
  readonly cancelRequested: boolean;
}

export interface LogAppend extends Fence {
  /** Position of the first line within the run. An append of the same position again is ignored. */
  readonly position: number;
  readonly lines: readonly { readonly time: string; readonly text: string }[];
}

/** The log of a build that has ended, on its way out of the store. */
export interface LogArchive {
  readonly tenantId: string;
  readonly buildId: string;
  /** Of the artifact to write: never used before. */
  readonly key: string;
  /** Every line, oldest first, read as it is asked for. */
  readonly lines: AsyncIterable<LogLine>;
}

export interface NewDeployment extends NewWork {
  readonly id: string;
  readonly tenantId: string;
  readonly service: string;
  readonly rollout: Rollout;
  readonly message: string | null;
  /** A new revision, or (`kind` becomes `rollback`) the number of an existing one. */
  readonly target:
    | {
        readonly repository: string;
        readonly digest: string;
        readonly buildId: string | null;
        readonly environment: Readonly<Record<string, string>>;
        readonly arguments: readonly string[] | null;
        readonly healthCheck: HealthCheck;
      }
    | {
        readonly rollbackTo: number | null;
        /** Accept nothing unless the service has these revisions still. */
        readonly expected?: Pick<Service, 'stableRevision' | 'previousRevision'>;
      };
}

export interface DeploymentClaim {
  readonly deployment: Deployment;
  readonly revision: Revision;
  readonly service: Service;
  /** The revision that has the traffic until this deployment has succeeded. */
  readonly stable: Revision | null;
  /** That it was accepted with. */
  readonly traceparent: string | null;
}

export interface DeploymentFinish extends Settlement {
  readonly state: Exclude<DeploymentState, 'QUEUED' | 'RUNNING'>;
  readonly evidence: Evidence | null;
  /** The service's address, where it is known. */
  readonly url: string | null;
}

/** How many builds may be with the queue and its workers, so that one tenant's backlog keeps nobody else waiting. */
export interface DispatchOptions {
  /** Dispatched and running builds of one tenant. */
  readonly maximumPerTenant: number;
  /** Dispatched builds, of all tenants, that no worker has claimed yet: what lies in the queue. */
  readonly maximumUnclaimed: number;
  /** Of this call. */
  readonly limit: number;
}

export interface SweepResult {
  /** Messages put into the outbox again: dispatched too long ago, or running with an expired lease. */
  readonly requeued: number;
  /** Ended because their attempts were used up. Their holds are released. */
  readonly deadLettered: number;
  /** Expired idempotency records that were removed. */
  readonly expired: number;
}

export interface SweepOptions {
  /** How long a message may go unheeded before it is sent again. */
  readonly queuedSeconds: number;
  readonly limit: number;
}

/** How long things are kept that nobody needs any more. */
export interface PruneOptions {
  /** Builds, with their logs, and deployments: since their end. */
  readonly workSeconds: number;
  /** Sources that no build refers to: since they were uploaded. */
  readonly sourceSeconds: number;
  readonly eventSeconds: number;
  /** Of each kind, in this call. */
  readonly limit: number;
}

export interface NewWebhookEndpoint
  extends Pick<WebhookEndpoint, 'id' | 'tenantId' | 'url' | 'description' | 'eventTypes'> {
  readonly secret: Pick<WebhookSecret, 'id' | 'keyId'>;
}

/** What is absent stays as it is. */
export type WebhookEndpointUpdate = Partial<
  Pick<WebhookEndpoint, 'url' | 'description' | 'eventTypes' | 'disabledReason'>
>;

export interface NewWebhookSecret extends Pick<WebhookSecret, 'id' | 'keyId'> {
  /** For how long the secret before stays. Older ones are dropped at once. */
  readonly overlapSeconds: number;
}

/** Which deliveries a process can work off. */
export interface DeliveryFilter {
  /** To the endpoints of tenants. */
  readonly endpoints: boolean;
  /** To these notifiers. */
  readonly notifiers: readonly string[];
  /** Under a lease at once, to one endpoint or notifier. */
  readonly maximumPerTarget: number;
  readonly limit: number;
  readonly leaseSeconds: number;
}

export interface DeliveryClaim {
  readonly fence: Fence;
  /** Failed ones since it was planned, or redelivered by hand. */
  readonly tries: number;
  readonly event: DeliveredEvent;
  /** To one of these two. */
  readonly target:
    | { readonly endpoint: WebhookEndpoint }
    | { readonly endpoint: null; readonly notifier: string };
}

export interface DeliveryFinish {
  /** PENDING: it is tried again. */
  readonly state: WebhookDelivery['state'];
  readonly status: number | null;
  readonly error: string | null;
  /** Until the next try. */
  readonly retryInSeconds: number;
  /** Whether the try counts among those that failed. */
  readonly counted: boolean;
  /** Its endpoint gets nothing more; the reason. */
  readonly disableEndpoint: string | null;
}

/** How much was removed. */
export interface PruneResult {
  readonly builds: number;
  readonly deployments: number;
  readonly sources: number;
  readonly events: number;
}

/**
 * The one owner of truth: work, leases, money, revisions, logs and events.
 * Every method is atomic and works on the store's own clock. No method takes or returns a transaction:
 * an adapter that cannot do a step atomically cannot implement it.
 * All methods may throw `unavailable`, `timeout`, `aborted`, `closed`.
 */
export interface Store extends Adapter {
  /** Whether truth can be reached now. @throws `unavailable` */
  ping(call: Call): Promise<void>;

  /** @throws `conflict` where the id is another's; `idempotency_mismatch` */
  addSource(
    source: NewSource,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Source>>;
  getSource(tenantId: string, id: string, call: Call): Promise<Source | null>;

  /**
   * One transaction: idempotency record, reservation, build (QUEUED, to be dispatched), hold, ledger entry and event.
   * @throws `budget_exceeded` with the figures; `idempotency_mismatch`; `not_found` for the source
   */
  acceptBuild(
    build: NewBuild,
    reservation: Reservation,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Build>>;
  getBuild(tenantId: string, id: string, call: Call): Promise<Build | null>;
  listBuilds(tenantId: string, page: PageRequest, call: Call): Promise<Page<Build>>;
  /**
   * Takes the build if it is queued and was dispatched, or is running with an expired lease, and attempts are left;
   * the attempt number grows by one. Null: somebody else has it, it has ended, or it has to wait for
   * {@link Store.dispatchBuilds}. Dispatch is the only door: no message, however old or often delivered, makes a
   * tenant run more builds than dispatch has let through.
   */
  claimBuild(id: string, leaseSeconds: number, call: Call): Promise<BuildClaim | null>;
  /** Null: the claim is lost. */
  heartbeatBuild(fence: Fence, leaseSeconds: number, call: Call): Promise<Heartbeat | null>;
  /**
   * Ends the build, settles its hold and records the event. False: the claim is lost, and nothing changed.
   * True without a change where this attempt has ended the build in the same way: the answer may have been lost.
   */
  finishBuild(fence: Fence, finish: BuildFinish, call: Call): Promise<boolean>;
  /**
   * Gives a claim back: the build is queued again and waits to be dispatched (on shutdown, or after a platform
   * fault while attempts are left). `countAttempt: false` takes the attempt off the maximum's account.
   * False: the claim is lost.
   */
  releaseBuild(
    fence: Fence,
    options: { readonly countAttempt: boolean },
    call: Call,
  ): Promise<boolean>;
  /**
   * A queued build ends at once (CANCELLED, hold released); a running one learns it from its next heartbeat.
   * One that has ended is left as it is. Null: there is no such build.
   */
  cancelBuild(tenantId: string, id: string, call: Call): Promise<Build | null>;

  /**
   * Which of these runs no claim will ever go on with: their build is unknown, has ended, or has begun another run or
   * is about to. What is true of a run that was begun under a claim once stays true.
   */
  findOrphanedRuns(runs: readonly RunName[], call: Call): Promise<readonly RunName[]>;

  /** Appends lines under the claim; sequences are given by the store. False: the claim is lost. */
  appendLog(append: LogAppend, call: Call): Promise<boolean>;
  /** Lines with a sequence above `after`, oldest first. None of a log that was archived. */
  readLog(
    tenantId: string,
    buildId: string,
    page: { readonly after: number; readonly limit: number },
    call: Call,
  ): Promise<readonly LogLine[]>;

  /**
   * Hands the log of one build that has ended to `write`, and once it has resolved drops the lines: from then on the
   * log is what is kept under the key. Rejects with what `write` rejected with, and keeps the lines; after
   * `leaseSeconds`, in which `write` has to be over, the log is handed out again with another key. No log is with two
   * callers at once. Keys of what came to nothing go on the list of {@link Store.takeGarbage}.
   * False: there is no log to archive.
   */
  archiveLog(
    options: { readonly leaseSeconds: number },
    write: (archive: LogArchive) => Promise<void>,
    call: Call,
  ): Promise<boolean>;
  /** The key of the artifact that has the build's log. Null: its lines are in the store, if it has any. */
  getLogArchive(tenantId: string, buildId: string, call: Call): Promise<string | null>;

  /**
   * One transaction: idempotency record, reservation, service (made if missing), revision, deployment (QUEUED),
   * hold, ledger entry, event and outbox row. Other queued deployments of the service become SUPERSEDED and
   * their holds are released. A rollback reserves nothing; without a number it targets the service's previous revision.
   * @throws `budget_exceeded`, `idempotency_mismatch`, `not_found` (rollback of an unknown service or revision), `conflict` (nothing to roll back to),
   * `precondition_failed` (the service is not as expected)
   */
  acceptDeployment(
    deployment: NewDeployment,
    reservation: Reservation,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<Deployment>>;
  getDeployment(tenantId: string, id: string, call: Call): Promise<Deployment | null>;
  listDeployments(
    tenantId: string,
    filter: { readonly service: string | null },
    page: PageRequest,
    call: Call,
  ): Promise<Page<Deployment>>;
  /** As `claimBuild`; also null while another deployment of the same service runs under a live lease. */
  claimDeployment(id: string, leaseSeconds: number, call: Call): Promise<DeploymentClaim | null>;
  heartbeatDeployment(fence: Fence, leaseSeconds: number, call: Call): Promise<Heartbeat | null>;
  /** Records progress. False: the claim is lost. */
  advanceDeployment(fence: Fence, phase: DeploymentPhase, call: Call): Promise<boolean>;
  /**
   * Ends the deployment, settles its hold and records the event. SUCCEEDED makes its revision the service's
   * stable one and marks it healthy. `previousRevision` becomes the stable one before; after a rollback, which
   * leaves a revision behind that nobody wants back, the last one below the target that was healthy. Puts the
   * next queued deployment of the service into the outbox. False: the claim is lost, and nothing changed.
   * True without a change where this attempt has ended the deployment in the same way.
   */
  finishDeployment(fence: Fence, finish: DeploymentFinish, call: Call): Promise<boolean>;
  /** As `releaseBuild`. */
  releaseDeployment(
    fence: Fence,
    options: { readonly countAttempt: boolean },
    call: Call,
  ): Promise<boolean>;

  getService(key: ServiceKey, call: Call): Promise<Service | null>;
  listServices(tenantId: string, page: PageRequest, call: Call): Promise<Page<Service>>;
  getRevision(key: ServiceKey, number: number, call: Call): Promise<Revision | null>;
  listRevisions(key: ServiceKey, page: PageRequest, call: Call): Promise<Page<Revision>>;
  /** Services of all tenants that have a stable revision and no running deployment, for the rollout worker to keep up. */
  listSettledServices(
    page: PageRequest,
    call: Call,
  ): Promise<Page<{ readonly service: Service; readonly stable: Revision }>>;
  setServiceUrl(key: ServiceKey, url: string, call: Call): Promise<void>;

  /** The account of the period; made on first use. */
  getAccount(tenantId: string, currency: string, limit: BudgetLimit, call: Call): Promise<Account>;
  /**
   * Sets the tenant's own cap, from this period on, until it is set again. A cap below what is spent and reserved is
   * taken: nothing more is accepted. @throws `precondition_failed` where the account is not as expected
   */
  setBudget(
    tenantId: string,
    currency: string,
    limit: BudgetLimit,
    change: BudgetChange,
    call: Call,
  ): Promise<Account>;

  /**
   * Lets queued builds through to the queue by putting their messages into the outbox: tenant by tenant, the one
   * served longest ago first, and of each tenant the oldest build first. Builds that find no room stay queued; the
   * end of another makes room. Calls at the same time let no more through than one would. The cost grows with the
   * number of tenants that have queued builds, not with the number of builds. Returns how many were let through.
   */
  dispatchBuilds(options: DispatchOptions, call: Call): Promise<number>;
  /**
   * Hands up to `limit` outbox messages to `deliver` and removes them once it has resolved. Rejects with what
   * `deliver` rejected with, and then keeps them. Calls at the same time get different messages.
   * Returns how many were delivered.
   */
  takeOutbox(
    limit: number,
    deliver: (messages: readonly Message[]) => Promise<void>,
    call: Call,
  ): Promise<number>;
  sweep(options: SweepOptions, call: Call): Promise<SweepResult>;

  /**
   * Removes what has been kept long enough. A build stays whatever its age while a revision has it, or its image, that
   * is its service's stable or previous one, has an open deployment, or was made, was healthy or had the traffic
   * within `workSeconds`. Revisions, accounts and the ledger stay. In the step that removes a row, the keys of its
   * artifacts go on the list that {@link Store.takeGarbage} hands out, so that no crash leaves one behind.
   */
  prune(options: PruneOptions, call: Call): Promise<PruneResult>;
  /**
   * Hands up to `limit` keys of artifacts that nothing refers to any more to `remove`, and forgets them once it has
   * resolved. Rejects with what `remove` rejected with, and then keeps them. Returns how many were removed.
   */
  takeGarbage(
    limit: number,
    remove: (keys: readonly string[]) => Promise<void>,
    call: Call,
  ): Promise<number>;

  /**
   * From now on the endpoint gets each event of its tenant that it asked for, its own `webhook_endpoint.created` first
   * among them: in the step that records an event, a delivery of it is planned for every endpoint and notifier.
   * @throws `conflict` where the tenant has `maximum` endpoints; `idempotency_mismatch`
   */
  addWebhookEndpoint(
    endpoint: NewWebhookEndpoint,
    maximum: number,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<WebhookEndpoint>>;
  getWebhookEndpoint(tenantId: string, id: string, call: Call): Promise<WebhookEndpoint | null>;
  listWebhookEndpoints(
    tenantId: string,
    page: PageRequest,
    call: Call,
  ): Promise<Page<WebhookEndpoint>>;
  /** Null: there is none. @throws `precondition_failed` unless `version` is its version, or null */
  updateWebhookEndpoint(
    tenantId: string,
    id: string,
    update: WebhookEndpointUpdate,
    version: number | null,
    call: Call,
  ): Promise<WebhookEndpoint | null>;
  /** Puts a new secret before the present one. Null: there is no such endpoint. @throws `idempotency_mismatch` */
  rotateWebhookSecret(
    tenantId: string,
    id: string,
    secret: NewWebhookSecret,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Accepted<WebhookEndpoint> | null>;
  /** With its deliveries. False: there is none, or (with a version) another. */
  deleteWebhookEndpoint(
    tenantId: string,
    id: string,
    version: number | null,
    call: Call,
  ): Promise<boolean>;

  /** From now on deliveries of every tenant's events are planned for this notifier, until it was not announced for as long as {@link Store.pruneDeliveries} is told. */
  announceNotifier(name: string, call: Call): Promise<void>;
  /** Deliveries that are due, the one that waited longest first, each to one caller until its lease runs out. */
  claimDeliveries(filter: DeliveryFilter, call: Call): Promise<readonly DeliveryClaim[]>;
  /** Records what came of a try. False: the claim is lost, and nothing changed. */
  finishDelivery(fence: Fence, finish: DeliveryFinish, call: Call): Promise<boolean>;
  getDelivery(tenantId: string, id: string, call: Call): Promise<WebhookDelivery | null>;
  /** To one endpoint, newest first. */
  listDeliveries(
    tenantId: string,
    endpointId: string,
    page: PageRequest,
    call: Call,
  ): Promise<Page<WebhookDelivery>>;
  /** Makes it due now, its retries beginning anew; one under a lease is left as it is. Null: there is none. */
  redeliver(tenantId: string, id: string, call: Call): Promise<WebhookDelivery | null>;
  /**
   * Removes deliveries that ended so long ago, and notifiers that were not announced for so long, with all that waits
   * for them. Returns how many deliveries were removed.
   */
  pruneDeliveries(
    options: { readonly keepSeconds: number; readonly limit: number },
    call: Call,
  ): Promise<number>;

  /** Newest first. */
  listEvents(tenantId: string, page: PageRequest, call: Call): Promise<Page<AuditEvent>>;
}
