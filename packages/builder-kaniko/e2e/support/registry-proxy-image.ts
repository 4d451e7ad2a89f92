import { useCluster } from '../../../registry-proxy/e2e/support/cluster.ts';
import { proxyImage } from '../../../registry-proxy/e2e/support/proxy-image.ts';

/** The registry proxy's image, built from its package on the cluster unless its registry has it. */
export async function registryProxyImage(): Promise<string> {
  await using cluster = await useCluster();
  return await proxyImage(cluster);
}
