import type { V1Job } from '@kubernetes/client-node';

export interface BareJobOptions {
  readonly name: string;
  readonly image: string;
  readonly contextUrl: string;
  /** A ConfigMap that holds `ca.crt`. */
  readonly authority: string;
  readonly destination: string;
  readonly registry: string;
}

/** What one writes by hand to build with kaniko: the arguments of the adapter, and nothing that waits or helps. */
export function bareJob(options: BareJobOptions): V1Job {
  const { name, image, contextUrl, authority, destination, registry } = options;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, labels: { bench: 'bare' } },
    spec: {
      backoffLimit: 0,
      template: {
        metadata: { labels: { bench: 'bare' } },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          dnsPolicy: 'Default',
          containers: [
            {
              name: 'kaniko',
              image,
              args: [
                `--context=${contextUrl}`,
                `--destination=${destination}`,
                '--dockerfile=Dockerfile',
                '--log-format=text',
                '--push-retry=3',
                '--insecure',
                `--insecure-registry=${registry}`,
                `--registry-mirror=${registry}`,
              ],
              env: [{ name: 'SSL_CERT_FILE', value: '/authority/ca.crt' }],
              resources: { requests: { cpu: '10m', memory: '64Mi' } },
              volumeMounts: [{ name: 'authority', mountPath: '/authority', readOnly: true }],
            },
          ],
          volumes: [{ name: 'authority', configMap: { name: authority } }],
        },
      },
    },
  };
}
