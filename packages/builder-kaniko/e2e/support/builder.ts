import { randomUUID } from 'node:crypto';
import { createKanikoPipeline, type KanikoPipelineOptions } from '@cygni/builder-kaniko';
import type { BuildJob, BuildOutcome, BuildRun, Call, Logger, Registry } from '@cygni/core';
import { createOciRegistry } from '@cygni/registry-oci';
import { cluster, createNamespace, type TestNamespace } from './namespace.ts';
import { type SourceServer, startSourceServer } from './source-server.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const print = (fields: object, message?: string) => {
  process.stderr.write(`${message} ${Object.values(fields).map(String).join(' ')}\n`);
};

/** `CYGNI_TEST_LOG` shows what a pipeline logs. */
export function call(milliseconds = 90_000): Call {
  const log = process.env.CYGNI_TEST_LOG ? { ...silent, warn: print, error: print } : silent;
  return { signal: AbortSignal.timeout(milliseconds), log };
}

type Files = Readonly<Record<string, string | Uint8Array>>;
type JobOptions = Partial<Omit<BuildJob, 'source'>> & { readonly files: Files };

interface Finished {
  readonly outcome: BuildOutcome;
  readonly lines: readonly string[];
}

export interface TestBuilder extends AsyncDisposable {
  readonly namespace: TestNamespace;
  readonly sources: SourceServer;
  readonly registry: Registry;
  open(options?: Partial<KanikoPipelineOptions>): ReturnType<typeof createKanikoPipeline>;
  job(options: JobOptions): Promise<BuildJob>;
  /** What the cluster has of these kinds for a build, as `pod/name`. */
  names(kinds: string, buildId: string): Promise<string[]>;
}

/** A namespace, a registry and sources for kaniko on the test cluster. */
export async function createBuilder(): Promise<TestBuilder> {
  const namespace = await createNamespace();
  const sources = await startSourceServer(cluster.nodeAddress);
  const registry = createOciRegistry({ host: cluster.registry, insecure: true });
  const tenantId = namespace.name;
  return {
    namespace,
    sources,
    registry,
    open: (options = {}) =>
      createKanikoPipeline({
        kubeconfig: namespace.kubeconfig,
        namespace: namespace.name,
        registry,
        image: cluster.kanikoImage,
        flavour: cluster.kanikoFlavour,
        mirrors: [cluster.registry],
        insecureRegistries: [cluster.registry],
        machines: {
          small: { cpu: '100m', memory: '512Mi', ephemeralStorage: '1Gi' },
          medium: { cpu: '500m', memory: '1Gi', ephemeralStorage: '2Gi' },
          large: { cpu: '1', memory: '2Gi', ephemeralStorage: '4Gi' },
        },
        dnsPolicy: 'Default',
        certificateAuthority: sources.certificateAuthority,
        ...options,
      }),
    async job({ files, ...rest }) {
      return {
        buildId: randomUUID(),
        attempt: 1,
        tenantId,
        source: await sources.source(files),
        dockerfile: 'Dockerfile',
        target: null,
        buildArguments: {},
        machine: 'small',
        timeoutSeconds: 120,
        destination: {
          host: cluster.registry,
          insecure: true,
          repository: `${tenantId}/app`,
        },
        ...rest,
      };
    },
    async names(kinds, buildId) {
      const label = `-lcygni.dev/build=${buildId}`;
      const found = await namespace.kubectl('get', kinds, label, '-oname');
      return found.split('\n').filter(Boolean);
    },
    async [Symbol.asyncDispose]() {
      await registry.close();
      await sources[Symbol.asyncDispose]();
      await namespace[Symbol.asyncDispose]();
    },
  };
}

/** The log and the outcome of a run. */
export async function finished(run: BuildRun, milliseconds?: number): Promise<Finished> {
  const [outcome, lines] = await Promise.all([
    run.wait(call(milliseconds)),
    Array.fromAsync(run.logs({ after: 0 }, call(milliseconds)), ({ text }) => text),
  ]);
  return { outcome, lines };
}

/** Resolves once the log has a line with this text. */
export async function printed(run: BuildRun, text: string): Promise<void> {
  for await (const line of run.logs({ after: 0 }, call())) if (line.text.includes(text)) return;
  throw new Error(`the log ended without ${text}`);
}
