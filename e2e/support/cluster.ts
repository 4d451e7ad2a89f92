import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
const ownCluster = fileURLToPath(new URL('../cluster/', import.meta.url));
/** Compiling Kubernetes takes ten minutes on two cores; a busy machine takes longer. */
const startTimeoutMs = 45 * 60_000;

const variablesSchema = z.object({
  KUBECONFIG: z.string().min(1),
  NODE_IP: z.string().min(1),
  REGISTRY: z.string().min(1),
  KANIKO_IMAGE: z.string().min(1),
  KANIKO_FLAVOUR: z.string().default('v1.24.0'),
  CONTAINERD_HOSTS: z.string().min(1).optional(),
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
}

/** The cluster of KUBECONFIG, else our own, started if it is not running. */
export async function findCluster(): Promise<Cluster> {
  if (process.env.KUBECONFIG) return parse(process.env, 'KUBECONFIG is set, which needs more');
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error(
      'no cluster: set KUBECONFIG (e2e/cluster/README.md), or run as root on Debian with Go, where one is started',
    );
  }
  const { stdout } = await ownProgram('up');
  await ownProgram('base-images');
  const lines = stdout.matchAll(/^export (\w+)=(.*)$/gm);
  return parse(Object.fromEntries([...lines].map(([, name, value]) => [name, value])), 'up');
}

/** Starts again what was stopped of our own cluster. */
export async function restoreOwnCluster(): Promise<void> {
  await ownProgram('up');
}

/** Shows what it says on standard error, for it may take minutes. */
function ownProgram(name: 'up' | 'base-images') {
  const running = run(`${ownCluster}${name}`, { timeout: startTimeoutMs });
  running.child.stderr?.pipe(process.stderr, { end: false });
  return running;
}

function parse(variables: unknown, what: string): Cluster {
  const parsed = variablesSchema.safeParse(variables);
  if (!parsed.success) {
    const missing = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
    throw new Error(`${what}: ${missing} (e2e/cluster/README.md)`);
  }
  const { KUBECONFIG, NODE_IP, REGISTRY, KANIKO_IMAGE, KANIKO_FLAVOUR, CONTAINERD_HOSTS } =
    parsed.data;
  return {
    kubeconfig: KUBECONFIG,
    nodeIp: NODE_IP,
    registry: REGISTRY,
    kanikoImage: KANIKO_IMAGE,
    kanikoFlavour: KANIKO_FLAVOUR,
    containerdHosts: CONTAINERD_HOSTS ?? null,
  };
}
