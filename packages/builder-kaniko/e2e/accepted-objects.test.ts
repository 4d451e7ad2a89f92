import { buildNetworkPolicy } from '@cygni/builder-kaniko';
import type { KubernetesObject } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobManifest } from '../src/job/manifest.ts';
import { type KanikoPipelineOptions, parseOptions } from '../src/options.ts';
import { createBuilder, type TestBuilder } from './support/builder.ts';
import { runProgram } from './support/run-program.ts';

let builder: TestBuilder;
beforeAll(async () => {
  builder = await createBuilder();
});
afterAll(() => builder?.[Symbol.asyncDispose]());

/** What the API server would store: it checks and admits the object, and does not keep it. */
async function accepted(object: KubernetesObject): Promise<unknown> {
  const args = ['--namespace', builder.namespace.name, 'create', '--dry-run=server', '-ojson'];
  return JSON.parse(
    await runProgram(
      'kubectl',
      [...args, '--validate=strict', '--filename=-'],
      JSON.stringify(object),
    ),
  );
}

async function job(options: Partial<KanikoPipelineOptions>) {
  const { name: namespace, kubeconfig } = builder.namespace;
  const { settings } = parseOptions({
    kubeconfig,
    namespace,
    registry: builder.registry,
    ...options,
  });
  return jobManifest({
    job: await builder.job({ files: {}, target: 'release', buildArguments: { VERSION: '1' } }),
    cacheRepository: 'acme/cygni-cache',
    registryProxy: settings.registryProxy,
    settings,
  });
}

const everything: Partial<KanikoPipelineOptions> = {
  registryProxy: { image: 'registry.test/cygni/registry-proxy:1' },
  mirrors: ['mirror.test'],
  insecureRegistries: ['registry.test:5000'],
  machines: {
    small: { cpu: '1500m', cpuRequest: '250m', memory: '2Gi', ephemeralStorage: '10Gi' },
    medium: { cpu: '2', memory: '4Gi', ephemeralStorage: '20Gi' },
    large: { cpu: '4', memory: '8Gi', ephemeralStorage: '40Gi' },
  },
  nodeSelector: { 'kubernetes.io/arch': 'amd64', 'example.com/builds': 'yes' },
  tolerations: [
    { key: 'example.com/builds', operator: 'Equal', value: 'yes', effect: 'NoSchedule' },
    { key: 'example.com/spot', operator: 'Exists' },
    { operator: 'Exists', effect: 'NoExecute' },
  ],
  imagePullSecrets: ['one', 'two'],
  dnsPolicy: 'Default',
  certificateAuthority: '-----BEGIN CERTIFICATE-----',
  gracePeriodSeconds: 30,
  ttlSeconds: 3_600,
};

describe('a real API server', () => {
  it('accepts a Job with every option, as it is', async () => {
    const manifest = await job(everything);
    expect(await accepted(manifest)).toMatchObject(JSON.parse(JSON.stringify(manifest)));
  });

  it('accepts a Job with none', async () => {
    const { spec } = await job({});
    expect(await accepted(await job({}))).toMatchObject({
      spec: { backoffLimit: 0, activeDeadlineSeconds: spec?.activeDeadlineSeconds },
    });
  });

  it.each([
    ['selects nodes by what is no label', { nodeSelector: { arch: 'no label' } }, /nodeSelector/],
    ['tolerates no taint there is', { tolerations: [{ key: '-' }] }, /tolerations\[0\]/],
  ])('refuses one that %s, so it does look', async (_, options, message) => {
    await expect(accepted(await job(options))).rejects.toThrow(message);
  });

  it('accepts the NetworkPolicy, as it is', async () => {
    const policy = buildNetworkPolicy({
      namespace: builder.namespace.name,
      deny: ['10.0.0.0/8', '192.168.0.0/16', 'fd00::/8'],
      allow: ['10.1.2.3/32', 'fd00:1::/64'],
    });
    // It drops empty lists: none is allowed in either way.
    const { ingress: _, ...spec } = policy.spec ?? {};
    expect(await accepted(policy)).toMatchObject({ spec });
  });
});
