import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import {
  abortedError,
  type Call,
  CygniError,
  type DeployableRevision,
  type Deployer,
  type ReadImage,
  type RevisionKey,
  type ServiceKey,
  SPEC_VERSION,
  type TrafficTarget,
} from '@cygni/core';
import {
  contextOf,
  type DeployerState,
  directoryOf,
  discard,
  identityOf,
  isOf,
  portsInUse,
  prune,
  revisionName,
  save,
  serviceName,
} from './deployer-state.ts';
import { findFreePort, instancePorts, publicPorts } from './free-port.ts';
import { createKeyedLock } from './keyed-lock.ts';
import { mapError } from './map-error.ts';
import { closeDeployer, openDeployer } from './open-deployer.ts';
import { type LocalDeployerOptions, parseOptions, type Settings } from './options.ts';
import { startRun } from './revision-run.ts';
import { createServiceFront, type ServiceFront } from './service-front.ts';
import type { RevisionRecord } from './state-file.ts';

/** How long requests in flight may hold up the removal of their revision, in milliseconds. */
const drainMs = 10_000;

/**
 * Runs revisions on this machine, each on a port of its own, behind one reverse proxy per service whose port stays
 * the same for ever. Its processes end with `close`; after a crash the next `open` finds them and goes on with those
 * that still answer.
 */
export function createLocalDeployer(options: LocalDeployerOptions): Deployer {
  const parsed = parseOptions(options);
  const settings: Settings = { ...parsed, directory: resolve(parsed.directory) };
  const withLock = createKeyedLock();
  const ending = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  let opened: DeployerState | undefined;
  let opening: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let name = `local (${settings.runtime})`;

  /** Around every method: ends early when the call is aborted or the deployer is closed, and maps errors. */
  async function operate<Value>(
    what: string,
    call: Call,
    work: (state: DeployerState, call: Call) => Promise<Value>,
  ): Promise<Value> {
    const signal = AbortSignal.any([call.signal, ending.signal]);
    const run = async () => {
      if (signal.aborted) throw abortedError(signal);
      if (!opened) throw new CygniError('closed', 'the deployer is not open');
      return work(opened, { ...call, signal });
    };
    const done = run().catch((error: unknown) => {
      throw mapError(error, what, signal);
    });
    const settled = done.then(
      () => {},
      () => {},
    );
    underWay.add(settled);
    settled.then(() => underWay.delete(settled));
    return done;
  }

  /** What changes a service is done one thing after another. */
  const change = <Value>(
    key: ServiceKey,
    what: string,
    call: Call,
    work: (state: DeployerState, call: Call) => Promise<Value>,
  ) => withLock(serviceName(key), () => operate(what, call, work));

  return {
    specVersion: SPEC_VERSION,
    get name() {
      return name;
    },
    supports: { split: true },

    open(call) {
      opening ??= (async () => {
        const signal = AbortSignal.any([call.signal, ending.signal]);
        try {
          if (signal.aborted) throw abortedError(signal);
          opened = await openDeployer(settings, { ...call, signal });
          name = `local (${opened.runtime.name})`;
        } catch (error) {
          opening = undefined;
          throw mapError(error, 'the local deployer cannot be opened', signal);
        }
      })();
      return opening;
    },

    close() {
      closing ??= (async () => {
        ending.abort(new CygniError('closed', 'the deployer is closed'));
        await opening?.catch(() => {});
        await Promise.all(underWay);
        if (opened) await closeDeployer(opened);
      })();
      return closing;
    },

    apply: (revision, call) =>
      change(revision, 'apply', call, async (state, applying) => {
        const existing = state.applied.get(revisionName(revision));
        if (existing?.run && existing.run.state !== 'exited') return;
        const image = await state.cache.read(revision.image, revision.digest, applying);
        if (existing) await discard(state, existing, { withImage: false }, applying);
        // Held until the port is taken, so that no two get the same.
        await withLock('ports', async () => {
          const port = await findFreePort(instancePorts, '127.0.0.1', portsInUse(state));
          const record = recordOf(revision, image, port);
          const identity = identityOf(state, record);
          state.applied.set(revisionName(revision), { record, run: undefined });
          const run = startRun(identity, image, revision, contextOf(state));
          state.applied.set(revisionName(revision), { record, run });
          rerouteTo(state, revision, port);
        });
        await save(state);
      }),

    observe: (key, call) =>
      operate('observe', call, async (state) => {
        const instances = [...state.applied.values()].flatMap(({ record, run }) =>
          run && isOf(record, key) ? [run.observe()] : [],
        );
        const front = state.fronts.get(serviceName(key))?.front;
        return {
          instances: instances.sort((left, right) => left.revision - right.revision),
          traffic: front?.traffic ?? [],
          url: front ? `http://${bracketed(settings.host)}:${front.port}` : null,
        };
      }),

    route: (key, traffic, call) =>
      change(key, 'route', call, async (state) => {
        checkTraffic(traffic);
        const portOf = (revision: number) => {
          const entry = state.applied.get(revisionName({ ...key, revision }));
          if (entry?.run) return entry.record.port;
          throw new CygniError(
            'not_found',
            `revision ${revision} of ${key.service} is not applied`,
          );
        };
        for (const { revision } of traffic) portOf(revision);
        const front = await withLock('ports', () => ensureFront(state, key));
        await front.listen();
        front.route(traffic, portOf);
        await save(state);
      }),

    tailLogs: (revision, lines, call) =>
      operate('tailLogs', call, async (state, reading) => {
        const entry = state.applied.get(revisionName(revision));
        if (!entry) {
          throw new CygniError('not_found', `revision ${revision.revision} is not applied`);
        }
        const id = entry.record.instanceId;
        const wanted = Math.min(Math.max(0, Math.trunc(lines)), 10_000);
        return state.runtime.tailLog({ id, directory: directoryOf(settings, id) }, wanted, reading);
      }),

    remove: (revision, call) =>
      change(revision, 'remove', call, async (state, removing) => {
        const entry = state.applied.get(revisionName(revision));
        if (!entry) return;
        const front = state.fronts.get(serviceName(revision))?.front;
        front?.withdraw(revision.revision);
        await front?.drain(revision.revision, drainMs, removing.signal);
        if (removing.signal.aborted) throw abortedError(removing.signal);
        await discard(state, entry, { withImage: true }, removing);
        state.applied.delete(revisionName(revision));
        await save(state);
        await prune(state, removing);
      }),
  };
}

function recordOf(revision: DeployableRevision, image: ReadImage, port: number): RevisionRecord {
  return {
    tenantId: revision.tenantId,
    service: revision.service,
    revision: revision.revision,
    requestedDigest: revision.digest,
    digest: image.digest,
    instanceId: randomUUID(),
    port,
    healthCheck: revision.healthCheck,
    startedAt: new Date().toISOString(),
    process: null,
  };
}

async function ensureFront(
  state: DeployerState,
  { tenantId, service }: ServiceKey,
): Promise<ServiceFront> {
  const key = { tenantId, service };
  const known = state.fronts.get(serviceName(key));
  if (known) return known.front;
  const { host } = state.settings;
  const port = await findFreePort(publicPorts, host, portsInUse(state));
  const front = createServiceFront(host, port);
  state.fronts.set(serviceName(key), { key, front });
  return front;
}

/** A revision that was started again has a new port: its traffic follows. */
function rerouteTo(state: DeployerState, key: RevisionKey, port: number): void {
  const front = state.fronts.get(serviceName(key))?.front;
  if (!front?.traffic.some(({ revision }) => revision === key.revision)) return;
  front.route(front.traffic, (revision) =>
    revision === key.revision
      ? port
      : (state.applied.get(revisionName({ ...key, revision }))?.record.port ?? 0),
  );
}

function checkTraffic(traffic: readonly TrafficTarget[]): void {
  const total = traffic.reduce((sum, { percent }) => sum + percent, 0);
  const whole = traffic.every(({ percent }) => Number.isInteger(percent) && percent >= 0);
  const distinct = new Set(traffic.map(({ revision }) => revision)).size === traffic.length;
  if (!whole || !distinct || total !== 100) {
    throw new CygniError(
      'invalid_input',
      'traffic must be whole percents of distinct revisions that add up to 100',
    );
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
