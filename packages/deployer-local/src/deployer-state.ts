import { join } from 'node:path';
import type { Call, RevisionKey, ServiceKey } from '@cygni/core';
import type { ImageCache } from './image-cache.ts';
import type { Settings } from './options.ts';
import { removeTree } from './remove-tree.ts';
import type { RevisionRun, RunContext, RunIdentity } from './revision-run.ts';
import type { Runtime } from './runtime.ts';
import type { ServiceFront } from './service-front.ts';
import type { RevisionRecord, StateFile } from './state-file.ts';

/** How long an instance may take to end after SIGTERM, in milliseconds. */
export const graceMs = 2_000;

export interface Applied {
  readonly record: RevisionRecord;
  /** Undefined while nothing was started since the deployer was opened. */
  readonly run: RevisionRun | undefined;
}

/** What there is between `open` and `close`. */
export interface DeployerState {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly cache: ImageCache;
  readonly file: StateFile;
  readonly release: () => Promise<void>;
  readonly applied: Map<string, Applied>;
  readonly fronts: Map<string, { readonly key: ServiceKey; readonly front: ServiceFront }>;
}

export function save(state: DeployerState): Promise<void> {
  return state.file.save({
    version: 1,
    services: [...state.fronts.values()].map(({ key, front }) => ({
      ...key,
      port: front.port,
      traffic: front.traffic.map(({ revision, percent }) => ({ revision, percent })),
    })),
    revisions: [...state.applied.values()].map(({ record, run }) => ({
      ...record,
      process: run?.process ?? null,
    })),
  });
}

export function contextOf(state: DeployerState): RunContext {
  return { runtime: state.runtime, log: state.settings.log, onChange: () => save(state) };
}

export function identityOf({ settings }: DeployerState, record: RevisionRecord): RunIdentity {
  const { instanceId, revision, port, digest, healthCheck } = record;
  const directory = directoryOf(settings, instanceId);
  return { instanceId, revision, port, digest, healthCheck, directory };
}

export function portsInUse({ applied, fronts }: DeployerState): Set<number> {
  return new Set([
    ...[...applied.values()].map(({ record }) => record.port),
    ...[...fronts.values()].map(({ front }) => front.port),
  ]);
}

/** Ends an instance, and deletes its log and what else is left of it. */
export async function discard(
  state: DeployerState,
  { record, run }: Applied,
  { withImage }: { readonly withImage: boolean },
  call: Call,
): Promise<void> {
  await run?.stop(graceMs);
  await state.runtime.discard(record.instanceId, { withImage }, call);
  await removeTree(directoryOf(state.settings, record.instanceId));
}

/** Deletes image content that nothing needs any more. What is applied meanwhile is seen: it is asked for last. */
export async function prune({ applied, cache, runtime }: DeployerState, call: Call): Promise<void> {
  const some = (test: (record: RevisionRecord) => boolean) =>
    [...applied.values()].some(({ record }) => test(record));
  await cache.prune((digest) => some((record) => record.requestedDigest === digest));
  await runtime.prune(
    {
      image: (digest) => some((record) => record.digest === digest),
      instance: (id) => some((record) => record.instanceId === id),
    },
    call,
  );
}

export function directoryOf(settings: Settings, instanceId: string): string {
  return join(settings.directory, 'instances', instanceId);
}

export function isOf(record: RevisionRecord, key: ServiceKey): boolean {
  return record.tenantId === key.tenantId && record.service === key.service;
}

export function serviceName({ tenantId, service }: ServiceKey): string {
  return `${tenantId}/${service}`;
}

export function revisionName(key: RevisionKey): string {
  return `${serviceName(key)}/${key.revision}`;
}
