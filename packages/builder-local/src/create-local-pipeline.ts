import { resolve } from 'node:path';
import {
  abortedError,
  type BuildJob,
  type BuildPipeline,
  type Call,
  CygniError,
  SPEC_VERSION,
} from '@cygni/core';
import { detectEngine } from './engine/detect-engine.ts';
import { selectEngine } from './engine/select-engine.ts';
import { type LocalPipelineOptions, parseOptions } from './options.ts';
import { createRunDirectory } from './run/run-directory.ts';
import { type LocalRun, startRun } from './run/start-run.ts';

/**
 * Builds images on this machine: with docker, podman or buildah, or with the built-in assembler.
 * A run lives in this process: (buildId, attempt) names it, starting it again returns the same run, and
 * closing the pipeline cancels it. The logs of the last ended runs stay readable until then.
 * With the engine `auto` this asks `detectEngine`, which runs programs for a moment; otherwise it does no I/O.
 * @throws `invalid_configuration`
 */
export function createLocalPipeline(options: LocalPipelineOptions): BuildPipeline {
  const { images, directory, platform, limits, engine: chosen } = parseOptions(options);
  const engine = selectEngine(chosen === 'auto' ? detectEngine() : chosen);
  const runDirectory = createRunDirectory(resolve(directory), engine);
  const runs = new Map<string, Promise<LocalRun>>();
  const endedRuns: string[] = [];
  let opening: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  async function keepRecentLogs(key: string): Promise<void> {
    endedRuns.push(key);
    while (endedRuns.length > limits.endedRuns) {
      const oldest = endedRuns.shift() ?? '';
      const run = await runs.get(oldest);
      runs.delete(oldest);
      await run?.discardLog();
    }
  }

  async function begin(job: BuildJob, key: string, call: Call): Promise<LocalRun> {
    const starting = startRun({
      job,
      engine,
      images,
      platform,
      limits,
      directory: runDirectory.pathOf(key),
      log: call.log,
    });
    const run = await starting.catch((cause: unknown) => {
      throw new CygniError('unavailable', 'cannot write to the directory of builds', { cause });
    });
    // Even a closing pipeline must not leave a run behind that began in the meantime.
    if (closing) run.stop();
    run.ended
      .then(() => keepRecentLogs(key))
      .catch((error) => call.log.warn({ err: error }, 'cannot delete an old build log'));
    return run;
  }

  return {
    specVersion: SPEC_VERSION,
    name: `local (${engine.name})`,
    supports: { run: engine.supportsRun, cache: false, adopt: false },

    async open(call) {
      if (closing) throw closedError();
      if (call.signal.aborted) throw abortedError(call.signal);
      opening ??= (async () => {
        // `auto` has just found out.
        if (chosen !== 'auto') engine.check();
        await runDirectory.open(call);
      })();
      try {
        await opening;
      } catch (error) {
        opening = undefined;
        throw error;
      }
    },

    async start(job, call) {
      if (call.signal.aborted) throw abortedError(call.signal);
      if (!opening || closing) throw closedError();
      if (!/^[A-Za-z0-9-]{1,64}$/.test(job.buildId) || !Number.isSafeInteger(job.attempt)) {
        throw new CygniError('invalid_input', 'a build id is made of letters, digits and hyphens');
      }
      await opening;
      const key = `${job.buildId}-${job.attempt}`;
      const known = runs.get(key);
      if (known) return known;
      const run = begin(job, key, call);
      runs.set(key, run);
      run.catch(() => runs.delete(key));
      return run;
    },

    close() {
      closing ??= (async () => {
        const started = await Promise.allSettled([...runs.values()]);
        const live = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
        for (const run of live) run.stop();
        await Promise.all(live.map((run) => run.ended));
        await runDirectory.close();
      })();
      return closing;
    },
  };
}

function closedError(): CygniError {
  return new CygniError('closed', 'the build pipeline is not open');
}
