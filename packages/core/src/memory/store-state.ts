import { randomUUID } from 'node:crypto';
import type { StoredLog } from '../contracts/build-pipeline.ts';
import { MESSAGE_VERSION, type Message, type MessageKind } from '../contracts/queue.ts';
import type { IdempotencyKey } from '../contracts/store.ts';
import { CygniError } from '../errors.ts';
import type { Account } from '../model/budget.ts';
import type { Build } from '../model/build.ts';
import { type CursorPosition, cursorError, decodeCursor, pageOf } from '../model/cursor.ts';
import type { Deployment, Revision, Service } from '../model/deployment.ts';
import type { AuditEvent } from '../model/event.ts';
import type { LogLine } from '../model/log.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { Source } from '../model/source.ts';
import type { DeliveredEvent, WebhookDelivery, WebhookEndpoint } from '../model/webhook.ts';

/** What work has beside its resource: who may touch it, and when it was last told of. Times are in ms. */
export interface Work<Resource extends Build | Deployment = Build | Deployment> {
  readonly kind: MessageKind;
  resource: Resource;
  readonly maximumAttempts: number;
  readonly traceparent: string | null;
  countedAttempts: number;
  cancelRequested: boolean;
  leaseUntil: number | null;
  enqueuedAt: number;
}

export interface BuildWork extends Work<Build> {
  /** It was let through to the queue since it was queued last. */
  dispatched: boolean;
  /** Null: the next claim begins one. `beganAt` is in ms. */
  run: {
    readonly attempt: number;
    readonly beganAt: number;
    storedLog: StoredLog | null;
  } | null;
  log: LogLine[];
  /** The artifact that has the log, or, under a lease (in ms), that is being written. */
  archive: { readonly key: string; readonly leaseUntil: number | null } | null;
  /** `attempt/position` of every append. */
  readonly appended: Set<string>;
}

export interface DeploymentWork extends Work<Deployment> {
  /** Among the deployments of its service. */
  readonly position: number;
}

export interface ServiceRecord {
  service: Service;
  readonly revisions: Revision[];
  /** When a revision was last replaced as the stable one, in ms. */
  readonly replacedAt: Map<number, number>;
  lastPosition: number;
}

export interface AccountRecord {
  account: Account;
  /** The tenant's own cap is in force, not the policy's. */
  ownCap: boolean;
  /** The highest threshold that was told of, and the cap that it was a part of. */
  alerted: { readonly percent: number; readonly cap: number | null };
}

export interface Hold {
  readonly account: AccountRecord;
  readonly amount: number;
  open: boolean;
}

interface OutboxRow {
  readonly message: Message;
  /** Whether a relay is handing it over. */
  taken: boolean;
}

interface GarbageRow {
  readonly key: string;
  taken: boolean;
}

/** Times are in ms. */
export interface DeliveryRecord {
  delivery: Omit<WebhookDelivery, 'endpointId' | 'nextAttemptAt'> & {
    readonly endpointId: string | null;
  };
  readonly event: DeliveredEvent;
  /** Null: it goes to an endpoint. */
  readonly notifier: string | null;
  tries: number;
  dueAt: number;
  leaseUntil: number | null;
}

export interface StoreState {
  /** The store's own clock, in ms. */
  readonly now: () => number;
  readonly maximumDeploymentAttempts: number;
  readonly sources: Map<string, Source>;
  readonly builds: Map<string, BuildWork>;
  readonly deployments: Map<string, DeploymentWork>;
  readonly services: Map<string, ServiceRecord>;
  readonly accounts: Map<string, AccountRecord>;
  /** The tenants' own caps. */
  readonly budgets: Map<string, number | null>;
  readonly holds: Map<string, Hold>;
  readonly keys: Map<string, { fingerprint: string; resourceId: string; expiresAt: number }>;
  events: AuditEvent[];
  readonly endpoints: Map<string, WebhookEndpoint>;
  /** When each was announced, in ms. */
  readonly notifiers: Map<string, number>;
  deliveries: DeliveryRecord[];
  /** When a build of the tenant was dispatched last, counted in dispatches. */
  readonly turns: Map<string, number>;
  outbox: OutboxRow[];
  /** Keys of artifacts that nothing refers to any more. */
  garbage: GarbageRow[];
}

/** A key of several parts, none of which can run into the next. */
export function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

export function isoNow(state: StoreState): string {
  return new Date(state.now()).toISOString();
}

export function enqueue(state: StoreState, work: Work): void {
  work.enqueuedAt = state.now();
  const { kind, resource } = work;
  const message: Message = { v: MESSAGE_VERSION, kind, id: resource.id };
  const urgent = 'kind' in resource && resource.kind === 'rollback';
  state.outbox.push({ message: urgent ? { ...message, priority: 'high' } : message, taken: false });
}

/** Records an event about a service. */
export function recordService(
  state: StoreState,
  type: Extract<AuditEvent['type'], `service.${string}`>,
  { tenantId, name }: Service,
  data: AuditEvent['data'],
): void {
  record(state, { tenantId, type, subject: name, data });
}

/** Puts an artifact on the list of those to be deleted, once. */
export function discard(state: StoreState, key: string): void {
  if (!state.garbage.some((row) => row.key === key)) state.garbage.push({ key, taken: false });
}

export function record(
  state: StoreState,
  event: Pick<AuditEvent, 'tenantId' | 'type' | 'subject' | 'data'>,
): void {
  const recorded = { ...event, id: randomUUID(), createdAt: isoNow(state) };
  state.events.push(recorded);
  for (const { id, tenantId, eventTypes, disabledReason } of state.endpoints.values()) {
    if (tenantId !== event.tenantId || disabledReason !== null) continue;
    if (eventTypes.length > 0 && !eventTypes.includes(event.type)) continue;
    planDelivery(state, recorded, { endpointId: id, notifier: null });
  }
  for (const notifier of state.notifiers.keys()) {
    planDelivery(state, recorded, { endpointId: null, notifier });
  }
}

function planDelivery(
  state: StoreState,
  event: AuditEvent,
  {
    endpointId,
    notifier,
  }: { readonly endpointId: string | null; readonly notifier: string | null },
): void {
  state.deliveries.push({
    delivery: {
      ...{ id: randomUUID(), tenantId: event.tenantId, endpointId },
      ...{ eventId: event.id, eventType: event.type, state: 'PENDING', attempt: 0 },
      ...{ lastStatus: null, lastError: null, createdAt: isoNow(state), finishedAt: null },
    },
    ...{ event, notifier, tries: 0, dueAt: state.now(), leaseUntil: null },
  });
}

/** The id of what the first request with this key made. @throws `idempotency_mismatch` */
function findReplay(
  state: StoreState,
  tenantId: string,
  { route, key, fingerprint }: IdempotencyKey,
): string | null {
  const known = state.keys.get(keyOf(tenantId, route, key));
  if (!known || known.expiresAt <= state.now()) return null;
  if (known.fingerprint !== fingerprint) {
    const message = 'this idempotency key was used for another request';
    throw new CygniError('idempotency_mismatch', message);
  }
  return known.resourceId;
}

/** What a request with this key made before, as it is now. @throws `not_found` where that is gone; `idempotency_mismatch` */
export function replayOf<Made>(
  state: StoreState,
  tenantId: string,
  idempotency: IdempotencyKey | null,
  find: (tenantId: string, id: string) => Made | null | undefined,
): Made | null {
  const id = idempotency && findReplay(state, tenantId, idempotency);
  if (id === null) return null;
  const made = find(tenantId, id);
  if (!made) throw new CygniError('not_found', 'what this request made is gone');
  return made;
}

export function rememberKey(
  state: StoreState,
  tenantId: string,
  { route, key, fingerprint, retainSeconds }: IdempotencyKey,
  resourceId: string,
): void {
  const expiresAt = state.now() + retainSeconds * 1000;
  state.keys.set(keyOf(tenantId, route, key), { fingerprint, resourceId, expiresAt });
}

/** One page, newest first. */
export function listPage<Item>(
  items: Iterable<Item>,
  page: PageRequest,
  positionOf: (item: Item) => CursorPosition,
): Page<Item> {
  const after = page.cursor === null ? null : decodeCursor(page.cursor);
  const sorted = [...items]
    .map((item) => ({ item, position: positionOf(item) }))
    .filter(({ position }) => after === null || compare(position, after) < 0)
    .sort((left, right) => compare(right.position, left.position))
    .map(({ item }) => item);
  return pageOf(sorted, page, positionOf);
}

/** @throws `invalid_input` where the cursor does not name a row by such an id */
export function checkCursor({ cursor }: PageRequest, isId: (id: string) => boolean): void {
  if (cursor !== null && !isId(decodeCursor(cursor).id)) throw cursorError();
}

function compare(left: CursorPosition, right: CursorPosition): number {
  if (left.createdAt !== right.createdAt) return left.createdAt < right.createdAt ? -1 : 1;
  return left.id === right.id ? 0 : left.id < right.id ? -1 : 1;
}
