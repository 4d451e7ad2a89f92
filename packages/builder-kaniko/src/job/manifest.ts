import type { BuildJob } from '@cygni/core';
import type { V1Container, V1Job, V1Volume } from '@kubernetes/client-node';
import type { KanikoSettings } from '../options.ts';
import { contextVariable, kanikoArguments } from './arguments.ts';
import { buildIdAnnotation, jobName, labelsOf } from './names.ts';
import { secretKeys } from './secret.ts';

export const buildContainer = 'kaniko';
export const proxyContainer = 'registry-proxy';

/** Above the build's own timeout, which ends it with its log read: passing this deadline deletes the pod. */
const backstopSeconds = 600;
/** Where kaniko looks for its config.json, too. */
const secretsDirectory = '/kaniko/.docker';

/** What kaniko needs as root. FSETID: without it the set-group-ID bit of what a RUN step installs is lost. */
const capabilities = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETFCAP',
  'SETGID',
  'SETUID',
];

export interface ManifestInput {
  readonly job: BuildJob;
  readonly cacheRepository: string | null;
  /** The image of the registry proxy, where credentials must stay out of the build's container. */
  readonly registryProxy: { readonly image: string } | null;
  readonly settings: KanikoSettings;
}

/** The Job of one attempt. Pure. Its credentials, and where its context is, are in a Secret of the same name. */
export function jobManifest(input: ManifestInput): V1Job {
  const { job, registryProxy, settings } = input;
  const name = jobName(job.buildId, job.attempt);
  const labels = labelsOf(job);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      namespace: settings.namespace,
      labels,
      annotations: {
        [buildIdAnnotation]: job.buildId,
        'cygni.dev/tenant-id': job.tenantId,
        'cygni.dev/repository': job.destination.repository,
      },
    },
    spec: {
      backoffLimit: 0,
      // A second pod would build again behind the back of the attempt's log.
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          { action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        ],
      },
      activeDeadlineSeconds: job.timeoutSeconds + backstopSeconds,
      ttlSecondsAfterFinished: settings.ttlSeconds,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: settings.gracePeriodSeconds,
          dnsPolicy: settings.dnsPolicy,
          securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
          nodeSelector: settings.nodeSelector,
          tolerations: settings.tolerations.map(defined),
          imagePullSecrets: settings.imagePullSecrets.map((each) => ({ name: each })),
          containers: [
            ...(registryProxy ? [proxyOf(registryProxy.image, settings)] : []),
            kanikoOf(name, input),
          ],
          volumes: volumesOf(name, input),
        },
      },
    },
  };
}

function kanikoOf(name: string, input: ManifestInput): V1Container {
  const { job, registryProxy, settings } = input;
  const { cpu, cpuRequest = cpu, memory, ephemeralStorage } = settings.machines[job.machine];
  const resources = { cpu, memory, 'ephemeral-storage': ephemeralStorage };
  return {
    name: buildContainer,
    image: settings.image,
    args: kanikoArguments({ ...input, throughProxy: registryProxy !== null }),
    env: [
      {
        name: contextVariable,
        valueFrom: { secretKeyRef: { name, key: secretKeys.context } },
      },
      ...(settings.certificateAuthority === null
        ? []
        : [{ name: 'SSL_CERT_DIR', value: `/kaniko/ssl/certs:${secretsDirectory}` }]),
    ],
    volumeMounts: [{ name: 'kaniko-secrets', mountPath: secretsDirectory, readOnly: true }],
    resources: { requests: { ...resources, cpu: cpuRequest }, limits: resources },
    securityContext: {
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'], add: capabilities },
    },
  };
}

function proxyOf(image: string, settings: KanikoSettings): V1Container {
  return {
    name: proxyContainer,
    image,
    env:
      settings.certificateAuthority === null
        ? []
        : [{ name: 'NODE_EXTRA_CA_CERTS', value: `/etc/cygni/${secretKeys.certificates}` }],
    volumeMounts: [{ name: 'proxy-secrets', mountPath: '/etc/cygni', readOnly: true }],
    resources: {
      requests: { cpu: '10m', memory: '64Mi', 'ephemeral-storage': '16Mi' },
      limits: { memory: '256Mi', 'ephemeral-storage': '64Mi' },
    },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
  };
}

/** Each container sees its own keys of the Secret only. */
function volumesOf(name: string, { registryProxy, settings }: ManifestInput): V1Volume[] {
  const keys = (volume: string, ...items: string[]): V1Volume => ({
    name: volume,
    secret: { secretName: name, items: items.map((key) => ({ key, path: key })) },
  });
  const certificates = settings.certificateAuthority === null ? [] : [secretKeys.certificates];
  return [
    // One for all that a container sees: each costs its node a mount.
    keys('kaniko-secrets', secretKeys.dockerConfig, ...certificates),
    ...(registryProxy ? [keys('proxy-secrets', secretKeys.proxyConfig, ...certificates)] : []),
  ];
}

function defined<Value extends object>(
  value: Value,
): { [Key in keyof Value]: NonNullable<Value[Key]> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [Key in keyof Value]: NonNullable<Value[Key]>;
  };
}
