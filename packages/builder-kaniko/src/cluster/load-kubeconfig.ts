import { CygniError } from '@cygni/core';
import { KubeConfig } from '@kubernetes/client-node';

/** Of a server that is itself a pod: what its ServiceAccount is given. */
const inCluster = 'in-cluster';

/** @throws `invalid_configuration` */
export function loadKubeconfig(path: string): KubeConfig {
  if (path === inCluster) return loadInCluster('');
  const loaded = new KubeConfig();
  try {
    loaded.loadFromFile(path);
  } catch (cause) {
    throw new CygniError('invalid_configuration', `cannot read the kubeconfig ${path}`, { cause });
  }
  return loaded;
}

/**
 * The token is read again every minute, since the node renews it. `root`: where `/var/run/secrets` is.
 * @throws `invalid_configuration`
 */
export function loadInCluster(root: string): KubeConfig {
  if (!process.env.KUBERNETES_SERVICE_HOST || !process.env.KUBERNETES_SERVICE_PORT) {
    const message = 'kubeconfig is in-cluster, and KUBERNETES_SERVICE_HOST and _PORT are not set';
    throw new CygniError('invalid_configuration', message);
  }
  const loaded = new KubeConfig();
  loaded.loadFromCluster(root);
  return loaded;
}
