import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Cluster extends AsyncDisposable {
  readonly namespace: string;
  readonly registry: string;
  readonly kanikoImage: string;
  /** An address of this machine that pods reach. */
  readonly nodeAddress: string;
  kubectl(...argv: string[]): Promise<string>;
  apply(object: object): Promise<void>;
  /** Copies a file to the standard input of a container. */
  feed(pod: string, container: string, file: string): Promise<void>;
}

const { KUBECONFIG, REGISTRY, KANIKO_IMAGE, NODE_IP } = process.env;

export const clusterPresent = Boolean(KUBECONFIG && REGISTRY && KANIKO_IMAGE && NODE_IP);
if (!clusterPresent) {
  const missing = 'no cluster (KUBECONFIG, REGISTRY, KANIKO_IMAGE, NODE_IP)';
  if (process.env.CI) throw new Error(missing);
  process.stderr.write(`SKIPPED: ${missing}, so nothing was built on one\n`);
}

/** A namespace of its own on the cluster that the environment names. */
export async function useCluster(): Promise<Cluster> {
  const namespace = `proxy-${randomBytes(4).toString('hex')}`;
  const kubectl = async (...argv: string[]) => {
    const { stdout } = await run('kubectl', ['--namespace', namespace, ...argv], {
      maxBuffer: 64 * 1024 * 1024,
      timeout: 120_000,
    });
    return stdout;
  };
  await kubectl('create', 'namespace', namespace);
  await kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=baseline');
  return {
    namespace,
    registry: REGISTRY ?? '',
    kanikoImage: KANIKO_IMAGE ?? '',
    nodeAddress: NODE_IP ?? '',
    kubectl,
    apply: (object) => feed(['apply', '-f', '-'], [JSON.stringify(object)]),
    feed: (pod, container, file) =>
      feed(['attach', '--stdin', '--quiet', pod, '--container', container], createReadStream(file)),
    async [Symbol.asyncDispose]() {
      await kubectl('delete', 'namespace', namespace, '--wait=false');
    },
  };

  async function feed(
    argv: readonly string[],
    source: Iterable<string> | AsyncIterable<Buffer>,
  ): Promise<void> {
    const child = spawn('kubectl', ['--namespace', namespace, ...argv], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString('utf8');
    });
    const ended = new Promise<number | null>((fulfil) => child.on('close', fulfil));
    await pipeline(source, child.stdin);
    if ((await ended) !== 0) throw new Error(`kubectl ${argv[0]}: ${complaint}`);
  }
}
