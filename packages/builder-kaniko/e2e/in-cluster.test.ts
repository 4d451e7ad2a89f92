import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKanikoPipeline } from '@cygni/builder-kaniko';
import { afterEach, expect, it, vi } from 'vitest';
import { createClusterConnection } from '../src/cluster/connection.ts';
import { loadInCluster } from '../src/cluster/load-kubeconfig.ts';
import { scriptedRegistry } from '../test/support/scripted-registry.ts';
import { createNamespace } from './support/namespace.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

it('what a pod of the ServiceAccount is given opens the API server, also once its token was renewed', async () => {
  await using cleanUp = new AsyncDisposableStack();
  const namespace = cleanUp.use(await createNamespace());
  const root = await mkdtemp(join(tmpdir(), 'cygni-in-cluster-'));
  cleanUp.defer(() => rm(root, { recursive: true }));
  const folder = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
  await mkdir(folder, { recursive: true });
  const authority = '-ojsonpath={.data.ca\\.crt}';
  const pem = await namespace.kubectl('get', 'configmap', 'kube-root-ca.crt', authority);
  await writeFile(join(folder, 'ca.crt'), pem);
  const mount = async (account: string) => {
    const token = await namespace.kubectl('create', 'token', account);
    await writeFile(join(folder, 'token'), token.trim());
  };
  // Of an account that may do nothing, so that it shows which of the two is used.
  await mount('default');

  // Where the Service leads to: not every machine reaches the addresses of its cluster's Services.
  const slices = ['get', 'endpointslices', '--namespace=default'];
  const selector = '--selector=kubernetes.io/service-name=kubernetes';
  const address = '-ojsonpath={.items[0].endpoints[0].addresses[0]} {.items[0].ports[0].port}';
  const [host = '', port = ''] = (await namespace.kubectl(...slices, selector, address)).split(' ');
  vi.stubEnv('KUBERNETES_SERVICE_HOST', host);
  vi.stubEnv('KUBERNETES_SERVICE_PORT', port);
  const connection = createClusterConnection(loadInCluster(root));
  cleanUp.defer(() => connection.close());
  const ask = async () => {
    const path = `/apis/batch/v1/namespaces/${namespace.name}/jobs`;
    const signal = AbortSignal.timeout(10_000);
    const { statusCode, body } = await connection.request({ method: 'GET', path, signal });
    await body.dump();
    return statusCode;
  };
  expect(await ask()).toBe(403);

  await mount('cygni-builder');
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
  expect(await ask()).toBe(200);
});

it('outside of a pod there is none, which is said at once', () => {
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '');
  const open = () =>
    createKanikoPipeline({
      kubeconfig: 'in-cluster',
      namespace: 'builds',
      registry: scriptedRegistry(),
    });
  expect(open).toThrow(/KUBERNETES_SERVICE_HOST/);
});
