import type { V1NetworkPolicy } from '@kubernetes/client-node';

/**
 * Keeps build pods from each other, from the cluster and from the metadata address; what is left is the world outside.
 * `deny`: the addresses of the cluster itself. Nothing reaches a build pod. Applied by whoever sets the namespace up.
 */
export function buildNetworkPolicy(options: {
  readonly namespace: string;
  /** CIDRs that builds must not reach, besides the metadata addresses: pods, services, nodes. */
  readonly deny: readonly string[];
  /** CIDRs that they may reach in spite of it: a registry or an artifact store within. */
  readonly allow?: readonly string[];
}): V1NetworkPolicy {
  const { namespace, deny, allow = [] } = options;
  const isV6 = (cidr: string) => cidr.includes(':');
  const outside = (cidr: string, metadata: readonly string[], version6: boolean) => ({
    ipBlock: { cidr, except: [...metadata, ...deny.filter((each) => isV6(each) === version6)] },
  });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'cygni-builds', namespace },
    spec: {
      podSelector: {
        matchLabels: {
          'app.kubernetes.io/managed-by': 'cygni',
          'app.kubernetes.io/component': 'build',
        },
      },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [],
      egress: [
        {
          to: [
            outside('0.0.0.0/0', ['169.254.0.0/16', '100.100.100.200/32'], false),
            outside('::/0', ['fe80::/10', 'fd00:ec2::254/128'], true),
            ...allow.map((cidr) => ({ ipBlock: { cidr } })),
          ],
        },
        {
          // Names are resolved within the cluster.
          to: [{ namespaceSelector: {}, podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } }],
          ports: [
            { port: 53, protocol: 'UDP' },
            { port: 53, protocol: 'TCP' },
          ],
        },
      ],
    },
  };
}
