import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Call, CygniError } from '@cygni/core';
import { answersOn } from './answers-on.ts';
import {
  contextOf,
  type DeployerState,
  directoryOf,
  discard,
  graceMs,
  identityOf,
  prune,
  revisionName,
  save,
  serviceName,
} from './deployer-state.ts';
import { openRuntime } from './detect-runtime.ts';
import { lockDirectory } from './directory-lock.ts';
import { createImageCache } from './image-cache.ts';
import type { Settings } from './options.ts';
import { signalProcess } from './process-identity.ts';
import { removeTree } from './remove-tree.ts';
import { type RevisionRun, resumeRun } from './revision-run.ts';
import { createServiceFront } from './service-front.ts';
import { createStateFile, type RevisionRecord, type State } from './state-file.ts';

/** Locks the directory, finds what an earlier deployer left, and publishes the services that are known. */
export async function openDeployer(settings: Settings, call: Call): Promise<DeployerState> {
  const { directory } = settings;
  await mkdir(join(directory, 'instances'), { recursive: true, mode: 0o700 });
  const release = await lockDirectory(directory);
  try {
    const file = createStateFile(directory);
    const saved = await file.load();
    const runtime = await openRuntime(settings, call);
    const cache = createImageCache(join(directory, 'images'), settings.images);
    const state: DeployerState = {
      settings,
      runtime,
      cache,
      file,
      release,
      applied: new Map(),
      fronts: new Map(),
    };
    try {
      await restore(state, saved, call);
    } catch (error) {
      // Nothing stays behind that nobody looks after.
      await endAll(state);
      throw error;
    }
    return state;
  } catch (error) {
    await release();
    throw error;
  }
}

async function restore(state: DeployerState, saved: State, call: Call): Promise<void> {
  for (const record of saved.revisions) {
    const run = await recover(state, record, call);
    state.applied.set(revisionName(record), { record, run });
  }
  await openFronts(state, saved, call);
  await save(state);
  await removeStrays(state);
  await prune(state, call);
}

/** Goes on with an instance that outlived its deployer and still has its port; ends any other. */
async function recover(
  state: DeployerState,
  record: RevisionRecord,
  call: Call,
): Promise<RevisionRun | undefined> {
  if (!record.process) return undefined;
  const { instanceId, revision } = record;
  const running = await state.runtime.find(
    record.process,
    directoryOf(state.settings, instanceId),
    call,
  );
  if (!running) {
    // Started when another runtime was chosen: this one cannot go on with it, and nobody else will end it.
    if (record.process.kind === 'namespaces') signalProcess(record.process, 'SIGKILL');
    return undefined;
  }
  if (await answersOn(record.port, 2_000)) {
    call.log.info({ instanceId, revision }, 'instance adopted');
    const startedMsAgo = Math.max(0, Date.now() - Date.parse(record.startedAt));
    const identity = identityOf(state, record);
    return resumeRun(identity, running, startedMsAgo, contextOf(state));
  }
  call.log.info({ instanceId, revision }, 'instance without its port ended');
  await running.stop(graceMs);
  await state.runtime.discard(instanceId, { withImage: false }, call);
  return undefined;
}

async function openFronts(state: DeployerState, saved: State, call: Call): Promise<void> {
  for (const { tenantId, service, port, traffic } of saved.services) {
    const key = { tenantId, service };
    const front = createServiceFront(state.settings.host, port);
    state.fronts.set(serviceName(key), { key, front });
    try {
      await front.listen();
    } catch (err) {
      // One port that somebody else took must not keep the other services down; `route` tries again.
      call.log.error({ err, service, port }, 'service cannot be published');
    }
    const portOf = (revision: number) => {
      const entry = state.applied.get(revisionName({ ...key, revision }));
      return entry?.run ? entry.record.port : undefined;
    };
    if (traffic.every(({ revision }) => portOf(revision) !== undefined)) {
      front.route(traffic, (revision) => portOf(revision) ?? 0);
    }
  }
}

/** Directories of instances that no record names: a crash came before they were recorded. */
async function removeStrays({ applied, settings }: DeployerState): Promise<void> {
  const kept = new Set([...applied.values()].map(({ record }) => record.instanceId));
  const folder = join(settings.directory, 'instances');
  for (const id of await readdir(folder)) if (!kept.has(id)) await removeTree(join(folder, id));
  for (const each of await readdir(settings.directory)) {
    if (each.startsWith('auth-') || each.endsWith('.tmp')) {
      await removeTree(join(settings.directory, each));
    }
  }
}

/** Ends every instance and frees the ports. State and image content stay, for the next `open`. */
export async function closeDeployer(state: DeployerState): Promise<void> {
  const errors = await endAll(state);
  await save(state);
  await state.release();
  if (errors.length > 0) {
    const cause = new AggregateError(errors);
    throw new CygniError('internal', 'the local deployer was not closed cleanly', { cause });
  }
}

async function endAll(state: DeployerState): Promise<unknown[]> {
  const call: Call = { signal: AbortSignal.timeout(30_000), log: state.settings.log };
  const ended = await Promise.allSettled([
    ...[...state.fronts.values()].map(({ front }) => front.close()),
    ...[...state.applied.values()].map((each) => discard(state, each, { withImage: false }, call)),
  ]);
  return ended.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
}
