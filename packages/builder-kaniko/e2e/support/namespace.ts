import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { flavours } from '../../src/flavours.ts';
import { runProgram } from './run-program.ts';

const folder = new URL('../../kubernetes/', import.meta.url);

function required(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error(`${name} is not set: run the tests with npm run test:e2e (e2e/README.md)`);
  return value;
}

/** What the set-up of the end-to-end tests says about their cluster. */
export const cluster = {
  registry: required('REGISTRY'),
  kanikoImage: required('KANIKO_IMAGE'),
  kanikoFlavour: z.enum(flavours).parse(required('KANIKO_FLAVOUR')),
  nodeAddress: required('NODE_IP'),
};

export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
  /** Of the ServiceAccount that builds run under: it may do what the Role says, and no more. */
  readonly kubeconfig: KubeConfig;
  /** As the cluster's administrator, in this namespace. */
  kubectl(...args: string[]): Promise<string>;
  apply(manifest: string | object): Promise<void>;
  /** By the Eviction API, as a drain does. */
  evict(pod: string): Promise<void>;
}

/** A namespace of its own, set up with the package's files as an operator would. */
export async function createNamespace(): Promise<TestNamespace> {
  const name = `${process.env.CYGNI_TEST_PREFIX ?? ''}pipeline-${randomBytes(4).toString('hex')}`;
  const kubectl = (...args: string[]) => runProgram('kubectl', ['--namespace', name, ...args]);
  const apply = async (manifest: string | object) => {
    const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    await runProgram('kubectl', ['--namespace', name, 'apply', '-f', '-'], text);
  };
  const namespace = await readFile(new URL('namespace.yaml', folder), 'utf8');
  await apply(namespace.replace('name: cygni-builds', `name: ${name}`));
  await apply(await readFile(new URL('role.yaml', folder), 'utf8'));
  // Without it no pod is let in. Its controller is late after the API server was away.
  await kubectl('wait', '--for=create', 'serviceaccount/default', '--timeout=60s');
  const token = (await kubectl('create', 'token', 'cygni-builder', '--duration=2h')).trim();
  const admin = new KubeConfig();
  admin.loadFromDefault();
  const own = new KubeConfig();
  const current = admin.getCurrentCluster();
  if (!current) throw new Error('the kubeconfig has no cluster');
  own.loadFromClusterAndUser(current, { name: 'cygni-builder', token });
  return {
    name,
    kubeconfig: own,
    kubectl,
    apply,
    async evict(pod) {
      const path = `/api/v1/namespaces/${name}/pods/${pod}/eviction`;
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod } };
      await runProgram('kubectl', ['create', '--raw', path, '-f', '-'], JSON.stringify(eviction));
    },
    async [Symbol.asyncDispose]() {
      await runProgram('kubectl', ['delete', 'namespace', name, '--wait=false']);
    },
  };
}
