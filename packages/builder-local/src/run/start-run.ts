import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  abortedError,
  type BuildJob,
  type BuildOutcome,
  type BuildRun,
  type Call,
  type ImageClient,
  type Logger,
} from '@cygni/core';
import { BuildFault, isBuildFault, throwIfAborted } from '../build-fault.ts';
import type { Engine } from '../engine/engine.ts';
import { outcomeOf } from '../map-error.ts';
import type { Limits } from '../options.ts';
import { receiveArchive } from '../source/receive-archive.ts';
import { unpackArchive } from '../source/unpack-archive.ts';
import { createRunLog } from './run-log.ts';

const cleanUpMs = 30_000;

export interface StartRunInput {
  readonly job: BuildJob;
  readonly engine: Engine;
  readonly images: ImageClient;
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly limits: Limits;
  /** Not existing; the run's own. */
  readonly directory: string;
  readonly log: Logger;
}

/** Where the engine works, within a run's directory. */
export function workDirectory(runDirectory: string): string {
  return join(runDirectory, 'work');
}

export interface LocalRun extends BuildRun {
  /** Resolves when the run has ended and nothing but its log is left. */
  readonly ended: Promise<BuildOutcome>;
  stop(): void;
  discardLog(): Promise<void>;
}

/** Starts a build in the background. Its directory is gone when it ends; its log stays until it is discarded. */
export async function startRun(input: StartRunInput): Promise<LocalRun> {
  const { job, engine, directory, log } = input;
  const work = workDirectory(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const runLog = await createRunLog(`${directory}.log`, input.limits.logBytes);
  const controller = new AbortController();
  const stop = () => controller.abort(new BuildFault('cancelled', 'the build was cancelled'));
  const ended = run();

  async function run(): Promise<BuildOutcome> {
    const deadline = setTimeout(() => {
      const message = `the build took longer than ${job.timeoutSeconds} s`;
      controller.abort(new BuildFault('deadline', message));
    }, job.timeoutSeconds * 1000);
    const call: Call = { signal: controller.signal, log };
    let outcome: BuildOutcome;
    try {
      outcome = { status: 'succeeded', ...(await build(call)), cache: null };
    } catch (error) {
      const { reason } = controller.signal;
      outcome = outcomeOf(isBuildFault(reason) ? reason : error, log);
    } finally {
      clearTimeout(deadline);
    }
    await cleanUp();
    if (outcome.status === 'failed') await note(`${outcome.reason}: ${outcome.message}`);
    await runLog.end().catch((error) => log.warn({ err: error }, 'cannot close a build log'));
    return outcome;
  }

  async function build(call: Call) {
    const archive = join(directory, 'source.tar.gz');
    const contextDirectory = join(directory, 'context');
    await receiveArchive(job.source, archive, call);
    const tree = await unpackArchive(archive, contextDirectory, input.limits, call.signal);
    await mkdir(work);
    throwIfAborted(call.signal);
    return engine.build({
      job,
      tree,
      contextDirectory,
      directory: work,
      images: input.images,
      platform: input.platform,
      limits: input.limits,
      write: (line) => runLog.write(line),
      call,
    });
  }

  async function cleanUp(): Promise<void> {
    try {
      await engine.cleanUp(work, { signal: AbortSignal.timeout(cleanUpMs), log });
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      log.error({ err: error, directory }, 'cannot delete the directory of a build');
    }
  }

  /** The last line must not change how the run ended. */
  async function note(line: string): Promise<void> {
    await runLog.write(line).catch((error) => log.warn({ err: error }, 'cannot write a build log'));
  }

  return {
    ended,
    stop,
    discardLog: () => runLog.discard(),
    logs: ({ after }, call) => runLog.read(after, call),
    wait: (call) => orAborted(ended, call.signal),
    async cancel(call) {
      stop();
      await orAborted(ended, call.signal);
    },
  };
}

function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  if (signal.aborted) return Promise.reject(abortedError(signal));
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortedError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
