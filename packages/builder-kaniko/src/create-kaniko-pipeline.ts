import {
  abortedError,
  type BuildPipeline,
  type Call,
  CygniError,
  type Logger,
  SPEC_VERSION,
} from '@cygni/core';
import { createBuildObjects } from './cluster/build-objects.ts';
import { createClusterClient } from './cluster/client.ts';
import { createClusterConnection } from './cluster/connection.ts';
import { jobSchema, podSchema } from './cluster/objects.ts';
import { watchObjects } from './cluster/watch-objects.ts';
import { buildSelector, jobName, runNameOf } from './job/names.ts';
import { type KanikoPipelineOptions, parseOptions } from './options.ts';
import type { RunContext } from './run/run-context.ts';
import { type KanikoRun, startRun } from './run/start-run.ts';

/**
 * Builds images by Jobs that run kaniko, one for each attempt. Their names are functions of (buildId, attempt): starting one
 * again, also from another process, adopts it. Closing the pipeline leaves Jobs running.
 * @throws `invalid_configuration`
 */
export function createKanikoPipeline(
  options: KanikoPipelineOptions,
): BuildPipeline & AsyncDisposable {
  const { kubeconfig, registry, settings } = parseOptions(options);
  const connection = createClusterConnection(kubeconfig);
  const client = createClusterClient(connection, settings.requestsPerSecond);
  const lifetime = new AbortController();
  const runs = new Map<string, KanikoRun>();
  let context: RunContext | undefined;
  let isOpen = false;
  let closing: Promise<void> | undefined;

  /** One list and one watch of each kind, whatever the number of builds. */
  function follow(log: Logger): RunContext {
    const { namespace } = settings;
    const call: Call = { signal: lifetime.signal, log };
    const shared = { connection, client, labelSelector: buildSelector };
    const jobs = watchObjects(
      {
        ...shared,
        path: `/apis/batch/v1/namespaces/${namespace}/jobs`,
        schema: jobSchema,
        keyOf: ({ metadata }) => metadata?.name ?? '',
      },
      call,
    );
    const pods = watchObjects(
      {
        ...shared,
        path: `/api/v1/namespaces/${namespace}/pods`,
        schema: podSchema,
        keyOf: ({ metadata }) => metadata?.labels?.['batch.kubernetes.io/job-name'] ?? '',
      },
      call,
    );
    return {
      settings,
      registry,
      connection,
      objects: createBuildObjects(client, namespace),
      watches: { jobs, pods },
      lifetime: lifetime.signal,
      log,
    };
  }

  function opened({ signal }: Call): RunContext {
    if (signal.aborted) throw abortedError(signal);
    if (!isOpen || !context || closing) throw closedError();
    return context;
  }

  async function close(): Promise<void> {
    closing ??= (async () => {
      lifetime.abort(closedError());
      await Promise.allSettled([...runs.values()].map((run) => run.over));
      await connection.close();
    })();
    return closing;
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'kaniko',
    supports: { run: true, cache: settings.cache !== null, adopt: true },

    async open(call) {
      if (closing) throw closedError();
      if (call.signal.aborted) throw abortedError(call.signal);
      context ??= follow(call.log);
      const { jobs, pods } = context.watches;
      await Promise.all([jobs.synced(call.signal), pods.synced(call.signal)]);
      isOpen = true;
    },

    async listRuns(call) {
      return [...opened(call).watches.jobs.all()].flatMap((job) => runNameOf(job) ?? []);
    },

    async endRun({ buildId, attempt }, call) {
      const { objects } = opened(call);
      const name = jobName(buildId, attempt);
      const job = await objects.getJob(name, call);
      // Whoever supervises it in this process sees it go.
      if (job) await objects.deleteJob(name, job.metadata?.uid ?? '', call);
    },

    async start(job, call) {
      const context = opened(call);
      const name = jobName(job.buildId, job.attempt);
      const known = runs.get(name);
      if (known) return known;
      const run = startRun(job, context);
      runs.set(name, run);
      run.over.finally(() => runs.delete(name));
      return run;
    },

    close,
    [Symbol.asyncDispose]: close,
  };
}

function closedError(): CygniError {
  return new CygniError('closed', 'the build pipeline is not open');
}
