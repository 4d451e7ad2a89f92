import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
/** Compiling Kubernetes takes ten minutes on two cores; a busy machine takes longer. */
const startTimeoutMs = 45 * 60_000;
const askTimeoutMs = 20_000;

const variablesSchema = z.object({
  KUBECONFIG: z.string().min(1),
  NODE_IP: z.string().min(1),
  REGISTRY: z.string().min(1),
  KANIKO_IMAGE: z.string().min(1),
  KANIKO_FLAVOUR: z.string().default('v1.24.0'),
  CONTAINERD_HOSTS: z.string().min(1).nullable().default(null),
  CLUSTER_PROGRAMS: z.string().min(1).nullable().default(null),
});

export interface Cluster {
  readonly kubeconfig: string;
  /** An address of this machine that pods reach. */
  readonly nodeIp: string;
  /** Host with port of a registry over plain HTTP, with the base images below `library/`. */
  readonly registry: string;
  readonly kanikoImage: string;
  readonly kanikoFlavour: string;
  /** Where containerd looks up how to reach a registry; null unless the cluster is ours. */
  readonly containerdHosts: string | null;
  /** The folder of the programs that change the cluster (e2e/README.md); null unless it is ours. */
  readonly programs: string | null;
}

/** The cluster of KUBECONFIG, else one that kind makes where Docker runs, else our own; started if it is not running. */
export async function findCluster(): Promise<Cluster> {
  if (process.env.KUBECONFIG) return parse(process.env, 'KUBECONFIG is set, which needs more');
  const folder = fileURLToPath(new URL(`../${await findMaker()}`, import.meta.url));
  const { stdout } = await runClusterProgram(folder, 'up');
  await runClusterProgram(folder, 'base-images');
  const lines = stdout.matchAll(/^export (\w+)=(.*)$/gm);
  return parse(Object.fromEntries([...lines].map(([, name, value]) => [name, value])), folder);
}

/** Shows what it says on standard error, for it may take minutes. */
export function runClusterProgram(folder: string, name: 'up' | 'base-images' | 'stop-api-server') {
  const running = run(join(folder, name), { timeout: startTimeoutMs });
  running.child.stderr?.pipe(process.stderr, { end: false });
  return running;
}

async function findMaker(): Promise<'kind' | 'cluster'> {
  if (process.platform === 'linux') {
    if ((await answers('docker', 'info')) && (await answers('kind', 'version'))) return 'kind';
    if (process.getuid?.() === 0) return 'cluster';
  }
  throw new Error(
    'no cluster: set KUBECONFIG (e2e/README.md), or run on Linux with Docker and kind, or as root on Debian with Go and kubectl',
  );
}

function answers(program: string, argument: string): Promise<boolean> {
  return run(program, [argument], { timeout: askTimeoutMs }).then(
    () => true,
    () => false,
  );
}

function parse(variables: unknown, what: string): Cluster {
  const parsed = variablesSchema.safeParse(variables);
  if (!parsed.success) {
    const missing = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
    throw new Error(`${what}: ${missing} (e2e/README.md)`);
  }
  const { data } = parsed;
  return {
    kubeconfig: data.KUBECONFIG,
    nodeIp: data.NODE_IP,
    registry: data.REGISTRY,
    kanikoImage: data.KANIKO_IMAGE,
    kanikoFlavour: data.KANIKO_FLAVOUR,
    containerdHosts: data.CONTAINERD_HOSTS,
    programs: data.CLUSTER_PROGRAMS,
  };
}
