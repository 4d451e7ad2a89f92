import { mkdir } from 'node:fs/promises';
import type {
  Call,
  DeployableRevision,
  HealthCheck,
  Instance,
  InstanceState,
  Logger,
  ReadImage,
} from '@cygni/core';
import { composeCommand } from './image-command.ts';
import type { HealthJudge } from './judge-health.ts';
import { mapError } from './map-error.ts';
import { probeRegularly } from './probe-health.ts';
import type { RunningProcess, Runtime } from './runtime.ts';
import type { ProcessRecord } from './state-file.ts';

export interface RunIdentity {
  readonly instanceId: string;
  readonly revision: number;
  readonly directory: string;
  readonly port: number;
  readonly digest: string;
  readonly healthCheck: HealthCheck;
}

/** One try to run a revision: from its start to its exit. */
export interface RevisionRun {
  readonly state: InstanceState;
  readonly process: ProcessRecord | null;
  observe(): Instance;
  /** Ends it, also one that is still starting. Idempotent. */
  stop(graceMs: number): Promise<void>;
}

interface Progress {
  state: InstanceState;
  reason: string | null;
  ran: boolean;
  process: ProcessRecord | null;
  judge: HealthJudge | undefined;
}

export interface RunContext {
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Called when `process` or `state` changed, before anything follows from it. */
  readonly onChange: () => Promise<void>;
}

/** Begins to fetch the image and to start it; both go on after this returns. */
export function startRun(
  identity: RunIdentity,
  image: ReadImage,
  revision: DeployableRevision,
  context: RunContext,
): RevisionRun {
  const progress = fresh('pending', 'pulling the image');
  const ending = new AbortController();
  const { runtime, log, onChange } = context;

  async function start(): Promise<RunningProcess> {
    const call: Call = { signal: ending.signal, log };
    await mkdir(identity.directory, { recursive: true, mode: 0o700 });
    await runtime.fetchImage(image, revision.image, call);
    progress.reason = 'starting';
    return runtime.start(
      {
        instanceId: identity.instanceId,
        directory: identity.directory,
        image,
        location: revision.image,
        command: composeCommand(image.config, revision, identity.port),
        port: identity.port,
        async onCreated(record) {
          progress.process = record;
          await onChange();
        },
      },
      call,
    );
  }

  const started = start().catch((error: unknown) => {
    const failure = mapError(error, 'the instance cannot be started', ending.signal);
    progress.state = 'exited';
    progress.reason = failure.message;
    progress.process = null;
    if (!ending.signal.aborted) log.warn({ ...summary(identity), err: failure }, 'start failed');
    return null;
  });
  return follow(identity, progress, { started, ending, startedMsAgo: 0 }, context);
}

/** Goes on with a process that an earlier deployer started. */
export function resumeRun(
  identity: RunIdentity,
  running: RunningProcess,
  startedMsAgo: number,
  context: RunContext,
): RevisionRun {
  const progress = { ...fresh('running', null), process: running.record };
  const ending = new AbortController();
  const started = Promise.resolve(running);
  return follow(identity, progress, { started, ending, startedMsAgo }, context);
}

function follow(
  identity: RunIdentity,
  progress: Progress,
  life: {
    readonly started: Promise<RunningProcess | null>;
    readonly ending: AbortController;
    readonly startedMsAgo: number;
  },
  { log, onChange }: RunContext,
): RevisionRun {
  const { started, ending, startedMsAgo } = life;
  const ended = (async () => {
    const running = await started;
    if (running) {
      progress.state = 'running';
      progress.reason = null;
      progress.ran = true;
      progress.process = running.record;
      const probing = new AbortController();
      const stopProbing = AbortSignal.any([probing.signal, ending.signal]);
      const { port } = identity;
      progress.judge = probeRegularly(identity.healthCheck, { port, startedMsAgo }, stopProbing);
      progress.reason = await running.exited.then((reason) => {
        probing.abort();
        progress.state = 'exited';
        progress.process = null;
        return reason;
      });
      if (!ending.signal.aborted) {
        log.warn({ ...summary(identity), reason: progress.reason }, 'instance exited');
      }
    }
    await onChange();
  })();
  ended.catch((err: unknown) => log.error({ ...summary(identity), err }, 'state was not saved'));

  return {
    get state() {
      return progress.state;
    },
    get process() {
      return progress.process;
    },
    observe: () => ({
      id: identity.instanceId,
      revision: identity.revision,
      state: progress.state,
      reason: progress.reason,
      digest: progress.ran ? identity.digest : null,
      health: progress.judge?.health ?? 'unknown',
      probes: progress.judge?.probes ?? [],
    }),
    async stop(graceMs) {
      ending.abort();
      const running = await started;
      await running?.stop(graceMs);
      await ended.catch(() => {});
    },
  };
}

function fresh(state: InstanceState, reason: string | null): Progress {
  return { state, reason, ran: state === 'running', process: null, judge: undefined };
}

function summary({ instanceId, revision }: RunIdentity) {
  return { instanceId, revision };
}
