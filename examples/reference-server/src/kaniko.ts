import { readFileSync } from 'node:fs';
import type { KanikoPipelineOptions } from '@cygni/builder-kaniko';
import { z } from 'zod';

export type KanikoConfiguration = Omit<KanikoPipelineOptions, 'registry'>;

/** Separated by commas. */
const list = z.string().transform((text) => text.split(',').map((each) => each.trim()));

const json = z
  .string()
  .transform((text, context): unknown => attempt(() => JSON.parse(text), 'not JSON', context));

const machine = z.strictObject({
  cpu: z.string(),
  cpuRequest: z.string().exactOptional(),
  memory: z.string(),
  ephemeralStorage: z.string(),
});
const machines = z.strictObject({ small: machine, medium: machine, large: machine });

const tolerations = z.array(
  z.strictObject({
    key: z.string().optional(),
    operator: z.enum(['Exists', 'Equal']).optional(),
    value: z.string().optional(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  }),
);

const fetched = 'needed with CYGNI_BUILDER=kaniko: pods fetch the source from there';

/** What is read of the environment where CYGNI_BUILDER is `kaniko`. */
export const kanikoVariables = z.object({
  KUBECONFIG: z.string().meta({
    description:
      'path of a kubeconfig that may make Jobs, or in-cluster; needed with CYGNI_BUILDER=kaniko',
  }),
  S3_BUCKET: z.string(fetched),
  S3_ENDPOINT: z
    .url({ protocol: /^https$/, error: 'must be https with CYGNI_BUILDER=kaniko' })
    .optional(),
  KANIKO_NAMESPACE: z.string().default('cygni-builds').meta({ description: 'where the Jobs run' }),
  KANIKO_IMAGE: z.string().optional().meta({ description: 'the image of kaniko' }),
  KANIKO_FLAVOUR: z
    .enum(['v1.24.0', 'osscontainertools'])
    .optional()
    .meta({ description: 'which flags that image understands: osscontainertools or v1.24.0' }),
  KANIKO_PROXY_IMAGE: z
    .string()
    .transform((image) => ({ image }))
    .optional()
    .meta({ description: 'image of the proxy that keeps credentials out of the build’s sight' }),
  KANIKO_MIRRORS: list
    .optional()
    .meta({ description: 'hosts, with commas between them, that have Docker Hub’s images' }),
  KANIKO_INSECURE_REGISTRIES: list
    .optional()
    .meta({ description: 'hosts, with commas between them, that speak plain HTTP' }),
  KANIKO_CA_FILE: z
    .string()
    .transform((path, context) =>
      attempt(() => readFileSync(path, 'utf8'), 'cannot be read', context),
    )
    .optional()
    .meta({
      description: 'path of the PEM of an authority that builds trust besides the public ones',
    }),
  KANIKO_DNS_POLICY: z
    .enum(['ClusterFirst', 'Default'])
    .optional()
    .meta({ description: 'ClusterFirst, or Default: names are resolved as the node does' }),
  KANIKO_MACHINES: json
    .pipe(machines)
    .optional()
    .meta({ description: 'JSON; cpu, memory and ephemeralStorage of small, medium and large' }),
  KANIKO_NODE_SELECTOR: json
    .pipe(z.record(z.string(), z.string()))
    .optional()
    .meta({ description: 'JSON; labels of the nodes on which builds may run' }),
  KANIKO_TOLERATIONS: json
    .pipe(tolerations)
    .optional()
    .meta({ description: 'JSON; a list of the taints of nodes that builds tolerate' }),
  KANIKO_PULL_SECRETS: list.optional().meta({
    description:
      'names, with commas between them, of the Secrets that open the images of kaniko and the proxy',
  }),
  KANIKO_CACHE_HOURS: z.coerce
    .number()
    .int()
    .min(0)
    .transform((ttlHours) => (ttlHours === 0 ? null : { ttlHours }))
    .optional()
    .meta({ description: 'how long a layer of the cache is used; 0: builds have no cache' }),
});

export function kanikoConfiguration(
  variables: z.output<typeof kanikoVariables>,
): KanikoConfiguration {
  return {
    kubeconfig: variables.KUBECONFIG,
    namespace: variables.KANIKO_NAMESPACE,
    ...given({
      image: variables.KANIKO_IMAGE,
      flavour: variables.KANIKO_FLAVOUR,
      registryProxy: variables.KANIKO_PROXY_IMAGE,
      mirrors: variables.KANIKO_MIRRORS,
      insecureRegistries: variables.KANIKO_INSECURE_REGISTRIES,
      certificateAuthority: variables.KANIKO_CA_FILE,
      dnsPolicy: variables.KANIKO_DNS_POLICY,
      machines: variables.KANIKO_MACHINES,
      nodeSelector: variables.KANIKO_NODE_SELECTOR,
      tolerations: variables.KANIKO_TOLERATIONS,
      imagePullSecrets: variables.KANIKO_PULL_SECRETS,
      cache: variables.KANIKO_CACHE_HOURS,
    }),
  };
}

/** An issue, which names no value, instead of an error, which may. */
function attempt<Value>(read: () => Value, message: string, context: z.RefinementCtx): Value {
  try {
    return read();
  } catch {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }
}

/** Leaves the adapter its own defaults. */
function given<Options extends object>(
  options: Options,
): { [Name in keyof Options]?: Exclude<Options[Name], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as ReturnType<typeof given<Options>>;
}
