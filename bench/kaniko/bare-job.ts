import type { V1Job } from '@kubernetes/client-node';

export interface BareJobOptions {
  readonly name: string;
  readonly image: string;
  readonly contextUrl: string;
  /** A ConfigMap that holds `ca.crt`. */
  readonly authority: string;
  readonly destination: string;
  readonly cacheRepository: string;
  readonly registry: string;
}

/** What one writes by hand to build with kaniko: the arguments of the adapter, and nothing that waits or helps. */
export function bareJob(options: BareJobOptions): V1Job {
  const { name, image, contextUrl, authority, destination, cacheRepository, registry } = options;
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
                '--dockerfile=./Dockerfile',
                `--destination=${destination}`,
                '--cache=true',
                `--cache-repo=${cacheRepository}`,
                '--cache-ttl=336h',
                '--compressed-caching=false',
                `--registry-mirror=${registry}`,
                `--insecure-registry=${registry}`,
                '--skip-push-permission-check',
                '--snapshot-mode=redo',
                '--skip-unused-stages=true',
                '--push-retry=3',
                '--image-fs-extract-retry=3',
                '--image-download-retry=3',
                '--log-format=text',
              ],
              env: [{ name: 'SSL_CERT_DIR', value: '/kaniko/ssl/certs:/kaniko/authority' }],
              resources: { requests: { cpu: '10m', memory: '64Mi' } },
              volumeMounts: [{ name: 'authority', mountPath: '/kaniko/authority', readOnly: true }],
            },
          ],
          volumes: [{ name: 'authority', configMap: { name: authority } }],
        },
      },
    },
  };
}
