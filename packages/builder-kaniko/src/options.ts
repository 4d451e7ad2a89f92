import { CygniError, type MachineSize, type Registry } from '@cygni/core';
import type { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { loadKubeconfig } from './cluster/load-kubeconfig.ts';
import { flavours, type KanikoFlavourName } from './flavours.ts';

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const quantity = z.string().regex(/^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/, 'a Kubernetes quantity');
const host = z.string().regex(/^[A-Za-z0-9.-]+(:\d{1,5})?$/, 'host or host:port');
/** No whitespace: a reference with digest is an argument of its own. */
const imageReference = z.string().regex(/^[A-Za-z0-9][\w./:@-]*$/, 'an image reference');

const resourcesSchema = z.strictObject({
  cpu: quantity,
  /** What the scheduler counts; default: all of `cpu`. With less, builds share what a node has. */
  cpuRequest: quantity.exactOptional(),
  memory: quantity,
  ephemeralStorage: quantity,
});
export type MachineResources = z.output<typeof resourcesSchema>;

const tolerationSchema = z.strictObject({
  key: z.string().optional(),
  operator: z.enum(['Exists', 'Equal']).optional(),
  value: z.string().optional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
});

const optionsSchema = z.strictObject({
  namespace: z.string().regex(dnsLabel, 'a DNS label'),
  image: imageReference.default('ghcr.io/osscontainertools/kaniko:v1.28.3'),
  flavour: z.enum(flavours).default('osscontainertools'),
  registryProxy: z.strictObject({ image: imageReference }).nullable().default(null),
  cache: z
    .strictObject({
      /** Below the tenant's own prefix, like every repository. */
      repository: z.string().min(1).max(100).default('cygni-cache'),
      ttlHours: z.int().positive().default(336),
    })
    .nullable()
    .prefault({}),
  mirrors: z.array(host).default([]),
  insecureRegistries: z.array(host).default([]),
  machines: z
    .strictObject({ small: resourcesSchema, medium: resourcesSchema, large: resourcesSchema })
    .default({
      small: { cpu: '1', memory: '2Gi', ephemeralStorage: '10Gi' },
      medium: { cpu: '2', memory: '4Gi', ephemeralStorage: '20Gi' },
      large: { cpu: '4', memory: '8Gi', ephemeralStorage: '40Gi' },
    }),
  nodeSelector: z.record(z.string(), z.string()).default({}),
  tolerations: z.array(tolerationSchema).default([]),
  imagePullSecrets: z.array(z.string().regex(dnsLabel)).default([]),
  dnsPolicy: z.enum(['ClusterFirst', 'Default']).default('ClusterFirst'),
  certificateAuthority: z
    .string()
    .regex(/-----BEGIN CERTIFICATE-----/, 'PEM')
    .nullable()
    .default(null),
  gracePeriodSeconds: z.int().min(0).max(300).default(5),
  schedulingSeconds: z.int().positive().default(300),
  ttlSeconds: z.int().positive().default(86_400),
  requestsPerSecond: z.number().positive().default(50),
});
export type KanikoSettings = z.output<typeof optionsSchema>;

export interface KanikoPipelineOptions {
  /** A path of a kubeconfig, one that was loaded, or `in-cluster`: what the pod that this runs in was given. */
  readonly kubeconfig: string | KubeConfig;
  /** Where Jobs run. It must exist, with the Role of `kubernetes/role.yaml`. */
  readonly namespace: string;
  /** The one that images go to: it confirms digests, and makes the cache's repository. */
  readonly registry: Registry;
  /** The kaniko image. Default: the maintained fork, by its tag; pin it by digest in production. */
  readonly image?: string;
  /** Which flags the image understands. */
  readonly flavour?: KanikoFlavourName;
  /**
   * Holds credentials that reach a whole account, in a container of its own. Without it,
   * a registry that hands out such credentials is refused.
   */
  readonly registryProxy?: { readonly image: string } | null;
  /** Null: none. The repository is made below each tenant's prefix. */
  readonly cache?: { readonly repository?: string; readonly ttlHours?: number } | null;
  /** Asked for images of Docker Hub first. */
  readonly mirrors?: readonly string[];
  /** Registries that base images may come from by plain HTTP. */
  readonly insecureRegistries?: readonly string[];
  /** Requests and limits of a build's container. */
  readonly machines?: Readonly<Record<MachineSize, MachineResources>>;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly z.input<typeof tolerationSchema>[];
  readonly imagePullSecrets?: readonly string[];
  /** `Default`: names are resolved as the node does. */
  readonly dnsPolicy?: 'ClusterFirst' | 'Default';
  /** PEM. Trusted besides the public ones for the context and for registries. */
  readonly certificateAuthority?: string | null;
  /** What a cancelled build has to end by itself. */
  readonly gracePeriodSeconds?: number;
  /** How long a build may wait for a node with room for it, which may have to be started first, and then for that node. */
  readonly schedulingSeconds?: number;
  /** How long a Job that nobody collected stays. Longer than the worst outage. */
  readonly ttlSeconds?: number;
  /** To the API server. Deletions are not held up by it. */
  readonly requestsPerSecond?: number;
}

export interface ParsedOptions {
  readonly kubeconfig: KubeConfig;
  readonly registry: Registry;
  readonly settings: KanikoSettings;
}

/** @throws `invalid_configuration` */
export function parseOptions({
  kubeconfig,
  registry,
  ...rest
}: KanikoPipelineOptions): ParsedOptions {
  const parsed = optionsSchema.safeParse(rest);
  if (!parsed.success) {
    throw new CygniError(
      'invalid_configuration',
      `createKanikoPipeline: ${z.prettifyError(parsed.error)}`,
      { cause: parsed.error },
    );
  }
  return {
    kubeconfig: typeof kubeconfig === 'string' ? loadKubeconfig(kubeconfig) : kubeconfig,
    registry,
    settings: parsed.data,
  };
}
