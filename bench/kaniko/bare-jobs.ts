import { BatchV1Api, CoreV1Api, KubeConfig, type V1Job, Watch } from '@kubernetes/client-node';
import { untilReadable } from './until-readable.ts';

const completeWithinMs = 300_000;

interface BareTimes {
  /** From the POST of the Job until it shows Complete. */
  readonly completeMs: number;
  /** From the POST until kaniko printed its first line, by the runtime's clock, which is this machine's. */
  readonly firstLineMs: number;
  /** From the POST until the API server gave that line to who asked for it all the time: its kubelet learns late what runs. */
  readonly readableMs: number;
}

export interface BareJobs {
  putAuthority(pem: string): Promise<string>;
  run(job: V1Job): Promise<BareTimes>;
  /** All at once; the time until the last is Complete. */
  runAll(jobs: readonly V1Job[]): Promise<number>;
}

/** Jobs made by hand: what a build costs with nothing around it. */
export function createBareJobs(kubeconfig: string, namespace: string): BareJobs {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const batch = config.makeApiClient(BatchV1Api);

  /** Starts watching, then creates; resolves when every one of them shows Complete. */
  async function untilComplete(jobs: readonly V1Job[]): Promise<number> {
    const waiting = new Set(jobs.map(({ metadata }) => metadata?.name));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    const stopped = new AbortController();
    const ready = Promise.withResolvers<void>();
    keepWatching().catch(reject);
    const late = setTimeout(() => reject(new Error('not all in time')), completeWithinMs);

    /** A watch of this client gives up after 30 s without news. */
    async function keepWatching(): Promise<void> {
      while (!stopped.signal.aborted) {
        const { items, metadata } = await batch.listNamespacedJob({
          namespace,
          labelSelector: 'bench=bare',
        });
        items.forEach(see);
        const ended = Promise.withResolvers<void>();
        const watching = await new Watch(config).watch(
          `/apis/batch/v1/namespaces/${namespace}/jobs`,
          { labelSelector: 'bench=bare', resourceVersion: metadata?.resourceVersion },
          (_phase, job: V1Job) => see(job),
          () => ended.resolve(),
        );
        stopped.signal.addEventListener('abort', () => watching.abort(), { once: true });
        ready.resolve();
        await ended.promise;
      }
    }

    function see({ metadata, status }: V1Job): void {
      for (const { type, status: holds, message } of status?.conditions ?? []) {
        if (holds !== 'True') continue;
        if (type === 'Failed') reject(new Error(`${metadata?.name}: ${message}`));
        if (type === 'Complete') waiting.delete(metadata?.name);
      }
      if (waiting.size === 0) resolve();
    }

    try {
      await Promise.race([ready.promise, promise]);
      const start = performance.now();
      await Promise.all(jobs.map((body) => batch.createNamespacedJob({ namespace, body })));
      await promise.catch(explain);
      return performance.now() - start;
    } finally {
      clearTimeout(late);
      stopped.abort();
    }
  }

  async function explain(error: unknown): Promise<never> {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: 'bench=bare' });
    const broken = items.find(({ status }) => status?.phase === 'Failed');
    const name = broken?.metadata?.name;
    const log = name === undefined ? '' : await core.readNamespacedPodLog({ namespace, name });
    // kaniko may print its usage after it.
    const said = log.match(/^Error: .*$/m)?.[0] ?? log;
    throw new Error(`a bare Job failed: ${said}`, { cause: error });
  }

  async function remove(jobs: readonly V1Job[]): Promise<void> {
    const body = { propagationPolicy: 'Foreground' };
    await Promise.all(
      jobs.map(({ metadata }) =>
        batch.deleteNamespacedJob({ namespace, name: metadata?.name ?? '', body }),
      ),
    );
    for (;;) {
      const { items } = await core.listNamespacedPod({ namespace, labelSelector: 'bench=bare' });
      if (items.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  return {
    async putAuthority(pem) {
      const name = 'authority';
      const body = { metadata: { name }, data: { 'ca.crt': pem } };
      await core.createNamespacedConfigMap({ namespace, body });
      return name;
    },
    async run(job) {
      const postedAt = Date.now();
      const selector = `job-name=${job.metadata?.name}`;
      const readable = untilReadable(core, namespace, selector).then((log) => ({
        readableMs: Date.now() - postedAt,
        firstLineMs: Date.parse(log.slice(0, log.indexOf(' '))) - postedAt,
      }));
      const [completeMs, times] = await Promise.all([untilComplete([job]), readable]);
      await remove([job]);
      return { completeMs, ...times };
    },
    async runAll(jobs) {
      const tookMs = await untilComplete(jobs);
      await remove(jobs);
      return tookMs;
    },
  };
}
