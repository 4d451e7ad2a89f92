import { setTimeout as wait } from 'node:timers/promises';
import type { ProxyConfigurationInput } from '../../src/index.ts';
import type { Cluster } from './cluster.ts';

export interface PodBuild {
  readonly name: string;
  readonly proxyImage: string;
  readonly configuration: ProxyConfigurationInput;
  readonly dockerfile: string;
  readonly kanikoArguments: readonly string[];
}

export interface PodResult {
  readonly exitCode: number;
  readonly kanikoLog: string;
  readonly proxyLines: readonly Record<string, unknown>[];
  readonly proxyLog: string;
}

/** Starts a pod of kaniko and the proxy, as the README describes it. */
export async function startBuild(cluster: Cluster, build: PodBuild): Promise<void> {
  const { name } = build;
  await writeSecret(cluster, name, build.configuration);
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: { Dockerfile: build.dockerfile },
  });
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 5,
      dnsPolicy: 'Default',
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'proxy',
          image: build.proxyImage,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
          },
          resources: {
            requests: { cpu: '10m', memory: '64Mi' },
            limits: { memory: '256Mi' },
          },
          volumeMounts: [{ name: 'proxy', mountPath: '/etc/cygni', readOnly: true }],
        },
        {
          name: 'kaniko',
          image: cluster.kanikoImage,
          args: ['--context=dir:///context', '--dockerfile=Dockerfile', ...build.kanikoArguments],
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: {
              drop: ['ALL'],
              add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID', 'SETFCAP', 'KILL'],
            },
          },
          resources: { limits: { memory: '1Gi' } },
          volumeMounts: [{ name: 'context', mountPath: '/context', readOnly: true }],
        },
      ],
      volumes: [
        { name: 'proxy', secret: { secretName: name } },
        { name: 'context', configMap: { name } },
      ],
    },
  });
}

export async function writeSecret(
  cluster: Cluster,
  name: string,
  configuration: ProxyConfigurationInput,
): Promise<void> {
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    stringData: { 'proxy.json': JSON.stringify(configuration) },
  });
}

/** Waits for the build container to end, keeps both logs and deletes the pod, as a platform does. */
export async function endOfBuild(cluster: Cluster, name: string): Promise<PodResult> {
  const deadline = performance.now() + 150_000;
  const path = '{.status.containerStatuses[?(@.name=="kaniko")].state.terminated.exitCode}';
  for (;;) {
    const code = await cluster.kubectl('get', 'pod', name, `--output=jsonpath=${path}`);
    if (code !== '') {
      const kanikoLog = await cluster.kubectl('logs', name, '--container=kaniko');
      const proxyLog = await cluster.kubectl('logs', name, '--container=proxy');
      const lines = proxyLog.split('\n').filter((line) => line !== '');
      return {
        exitCode: Number(code),
        kanikoLog,
        proxyLog,
        proxyLines: lines.map((line) => JSON.parse(line) as Record<string, unknown>),
      };
    }
    if (performance.now() > deadline) {
      const state = await cluster.kubectl('describe', 'pod', name);
      throw new Error(`the build did not end:\n${state}`);
    }
    await wait(300);
  }
}

export async function buildInPod(cluster: Cluster, build: PodBuild): Promise<PodResult> {
  await startBuild(cluster, build);
  return endOfBuild(cluster, build.name);
}
