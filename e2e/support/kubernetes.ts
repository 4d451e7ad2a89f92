import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  loadAllYaml,
  type V1Job,
  type V1Pod,
} from '@kubernetes/client-node';
import { eventually } from './eventually.ts';

const tokenSeconds = 3 * 3600;
/** Starting a pod whose image is already on the node takes two seconds; a busy node takes its time. */
const podStartTimeoutMs = 60_000;

export interface Namespace extends AsyncDisposable {
  readonly name: string;
  /** Creates what the YAML describes, in this namespace. */
  apply(yaml: string): Promise<void>;
  /** A kubeconfig of that ServiceAccount of this namespace, and of nobody else. */
  writeKubeconfig(directory: string, serviceAccount: string): Promise<string>;
  jobs(): Promise<V1Job[]>;
  pods(selector?: string): Promise<V1Pod[]>;
  createJob(job: V1Job): Promise<V1Job>;
  deleteJob(name: string): Promise<void>;
  podLog(name: string): Promise<string>;
  /** By the eviction API, as a drain does. */
  evict(pod: string): Promise<void>;
  /** Runs one replica and resolves once it is ready. */
  deploy(options: {
    readonly name: string;
    readonly image: string;
    readonly port: number;
    readonly pullSecret?: { readonly host: string; readonly password: string };
  }): Promise<Site>;
}

interface Site {
  /** What it answers to a GET, which the API server passes on: not every machine reaches its cluster's pods. */
  get(): Promise<string>;
}

/** A namespace at the "baseline" Pod Security level, removed with all it holds. */
export async function createNamespace(kubeconfigFile: string): Promise<Namespace> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigFile);
  const core = config.makeApiClient(CoreV1Api);
  const apps = config.makeApiClient(AppsV1Api);
  const batch = config.makeApiClient(BatchV1Api);
  const objects = KubernetesObjectApi.makeApiClient(config);
  const namespace = `e2e-${randomBytes(5).toString('hex')}`;
  const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' };
  await core.createNamespace({ body: { metadata: { name: namespace, labels } } });
  // Without it no pod is let in. Its controller is late after the API server was away.
  await eventually(
    () => core.readNamespacedServiceAccount({ namespace, name: 'default' }).catch(() => null),
    podStartTimeoutMs,
  );

  const pods = async (labelSelector?: string) => {
    const selector = labelSelector === undefined ? {} : { labelSelector };
    return (await core.listNamespacedPod({ namespace, ...selector })).items;
  };

  return {
    name: namespace,
    async apply(yaml) {
      for (const document of loadAllYaml(yaml) as KubernetesObject[]) {
        const metadata = { ...document.metadata, namespace };
        await objects.create({ ...document, metadata });
      }
    },
    async writeKubeconfig(directory, serviceAccount) {
      const cluster = config.getCurrentCluster();
      if (!cluster) throw new Error('the kubeconfig names no cluster');
      const { status } = await core.createNamespacedServiceAccountToken({
        namespace,
        name: serviceAccount,
        body: { spec: { audiences: [], expirationSeconds: tokenSeconds } },
      });
      const own = new KubeConfig();
      own.loadFromClusterAndUser(cluster, { name: serviceAccount, token: status?.token ?? '' });
      const file = join(directory, `${namespace}.${serviceAccount}.json`);
      await writeFile(file, own.exportConfig(), { mode: 0o600 });
      return file;
    },
    jobs: async () => (await batch.listNamespacedJob({ namespace })).items,
    pods,
    createJob: (body) => batch.createNamespacedJob({ namespace, body }),
    async deleteJob(name) {
      const body = { propagationPolicy: 'Background' };
      await batch.deleteNamespacedJob({ namespace, name, body });
    },
    podLog: (name) => core.readNamespacedPodLog({ namespace, name }),
    async evict(pod) {
      const body = { metadata: { name: pod, namespace } };
      await core.createNamespacedPodEviction({ namespace, name: pod, body });
    },
    async deploy({ name, image, port, pullSecret }) {
      if (pullSecret) {
        const { host, password } = pullSecret;
        const auth = Buffer.from(`cygni:${password}`).toString('base64');
        await core.createNamespacedSecret({
          namespace,
          body: {
            metadata: { name },
            type: 'kubernetes.io/dockerconfigjson',
            stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [host]: { auth } } }) },
          },
        });
      }
      const app = { app: name };
      const container = {
        name,
        image,
        ports: [{ containerPort: port }],
        readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
      };
      await apps.createNamespacedDeployment({
        namespace,
        body: {
          metadata: { name },
          spec: {
            replicas: 1,
            selector: { matchLabels: app },
            template: {
              metadata: { labels: app },
              spec: {
                automountServiceAccountToken: false,
                terminationGracePeriodSeconds: 0,
                containers: [container],
                ...(pullSecret ? { imagePullSecrets: [{ name }] } : {}),
              },
            },
          },
        },
      });
      const pod = await eventually(async () => {
        const [found] = await pods(`app=${name}`);
        const ready = found?.status?.conditions?.some(
          ({ type, status }) => type === 'Ready' && status === 'True',
        );
        return ready && found?.metadata?.name;
      }, podStartTimeoutMs);
      return {
        get: () => core.connectGetNamespacedPodProxy({ namespace, name: `${pod}:${port}` }),
      };
    },
    async [Symbol.asyncDispose]() {
      await core.deleteNamespace({ name: namespace });
    },
  };
}
