import type { BuildJob, RegistryCredentials } from '@cygni/core';
import { KubeConfig } from '@kubernetes/client-node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kanikoArguments } from '../src/job/arguments.ts';
import { jobManifest } from '../src/job/manifest.ts';
import { attemptTag, jobName, labelsOf } from '../src/job/names.ts';
import { buildNetworkPolicy } from '../src/job/network-policy.ts';
import { secretData, secretManifest } from '../src/job/secret.ts';
import { type KanikoPipelineOptions, parseOptions } from '../src/options.ts';
import { scriptedRegistry } from './support/scripted-registry.ts';

const kubeconfig = new KubeConfig();
kubeconfig.loadFromClusterAndUser(
  { name: 'c', server: 'https://c', skipTLSVerify: false },
  { name: 'u' },
);

function settings(options: Partial<KanikoPipelineOptions> = {}) {
  return parseOptions({ kubeconfig, namespace: 'builds', registry: scriptedRegistry(), ...options })
    .settings;
}

const job: BuildJob = {
  buildId: '0196f2c4-7d1c-7e11-9d4a-1f2e3d4c5b6a',
  attempt: 2,
  tenantId: 'acme',
  source: {
    sizeBytes: 1,
    sha256: '',
    open: () => Promise.reject(new Error('unused')),
    presign: () => Promise.reject(new Error('unused')),
  },
  dockerfile: 'docker/Dockerfile',
  target: 'web',
  buildArguments: { VERSION: '1' },
  machine: 'medium',
  timeoutSeconds: 600,
  destination: { host: 'registry.test:5000', repository: 'acme/site', insecure: false },
};

const credentials = (password: string, reach: 'repository' | 'account'): RegistryCredentials => ({
  username: 'cygni',
  password,
  expiresAt: '2026-01-01T12:00:00.000Z',
  reach,
});

function manifestOf(options: Partial<KanikoPipelineOptions> = {}, throughProxy = false) {
  const parsed = settings(options);
  const registryProxy = throughProxy ? { image: 'proxy:1' } : null;
  const manifest = jobManifest({
    job,
    cacheRepository: 'acme/cache',
    registryProxy,
    settings: parsed,
  });
  const pod = manifest.spec?.template.spec;
  if (!pod) throw new Error('no pod');
  return { manifest, spec: manifest.spec, pod };
}

describe('the names of a run', () => {
  it('are functions of the build and the attempt', () => {
    expect(jobName(job.buildId, 2)).toBe(`build-${job.buildId}-2`);
    expect(attemptTag(job.buildId, 2)).toBe(`attempt-${job.buildId}-2`);
    expect(jobName(job.buildId, 1)).not.toBe(jobName(job.buildId, 2));
  });

  it('are such that Kubernetes and registries take them, whatever the input', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.integer({ min: 1, max: 99_999 }),
        (id, tenant, n) => {
          const labels = labelsOf({ buildId: id, attempt: n, tenantId: tenant });
          for (const name of [jobName(id, n), ...Object.values(labels)]) {
            expect(name).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
          }
          expect(attemptTag(id, n)).toMatch(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
        },
      ),
    );
  });
});

describe('the arguments of kaniko', () => {
  const argumentsOf = (changed: Partial<BuildJob>, options: Partial<KanikoPipelineOptions> = {}) =>
    kanikoArguments({
      job: { ...job, ...changed },
      cacheRepository: 'acme/cache',
      throughProxy: false,
      settings: settings(options),
    });
  /** What the kubelet makes of an argument. */
  const expanded = (argument: string) =>
    argument.replace(/\$(\$|\(([A-Z_]+)\))/g, (all, what, name) =>
      what === '$' ? '$' : name === 'CYGNI_CONTEXT' ? 'https://source' : all,
    );

  it('carry each value in one flag of its own, as it was given', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.dictionary(fc.stringMatching(/^[A-Z_]{1,9}$/), fc.string(), { maxKeys: 4 }),
        (dockerfile, target, buildArguments) => {
          const given = argumentsOf({ dockerfile, target, buildArguments }).map(expanded);
          expect(given.filter((each) => each.startsWith('--context='))).toEqual([
            '--context=https://source',
          ]);
          expect(given).toContain(`--dockerfile=./${dockerfile}`);
          expect(given).toContain(`--target=${target}`);
          expect(given.filter((each) => each.startsWith('--build-arg='))).toEqual(
            Object.entries(buildArguments).map(([name, value]) => `--build-arg=${name}=${value}`),
          );
          expect(given.every((each) => each.startsWith('--'))).toBe(true);
        },
      ),
    );
  });

  it('name one destination: the tag of this attempt', () => {
    const given = argumentsOf({});
    expect(given.filter((each) => each.startsWith('--destination='))).toEqual([
      `--destination=registry.test:5000/acme/site:attempt-${job.buildId}-2`,
    ]);
  });

  it('allow plain HTTP where it is named, and nowhere else', () => {
    expect(argumentsOf({}).join(' ')).not.toContain('insecure');
    const destination = { ...job.destination, insecure: true };
    expect(argumentsOf({ destination })).toContain('--insecure-registry=registry.test:5000');
    expect(argumentsOf({}, { insecureRegistries: ['base:1'] })).toContain(
      '--insecure-registry=base:1',
    );
  });

  it('hold no flag that the flavour does not know', () => {
    expect(argumentsOf({}, { flavour: 'v1.24.0' })).not.toContain('--credential-helpers=');
    expect(argumentsOf({}, { flavour: 'osscontainertools' })).toContain('--credential-helpers=');
  });

  it('lead through the proxy where the build must hold no credentials', () => {
    const given = kanikoArguments({
      job,
      cacheRepository: 'acme/cache',
      throughProxy: true,
      settings: settings(),
    });
    expect(given).toContain(
      `--destination=127.0.0.1:5001/target/acme/site:attempt-${job.buildId}-2`,
    );
    expect(given).toContain('--cache-repo=127.0.0.1:5001/target/acme/cache');
    expect(given).toContain('--registry-map=registry.test:5000=127.0.0.1:5001/target');
    expect(given).toContain('--skip-push-permission-check');
  });
});

describe('the Job', () => {
  it('runs once, and is kept longer than an outage', () => {
    const { spec, pod } = manifestOf({ ttlSeconds: 7_200 });
    expect(spec).toMatchObject({
      backoffLimit: 0,
      ttlSecondsAfterFinished: 7_200,
      podFailurePolicy: { rules: [{ action: 'FailJob' }] },
    });
    expect(spec?.activeDeadlineSeconds).toBeGreaterThan(job.timeoutSeconds);
    expect(pod.restartPolicy).toBe('Never');
  });

  it('gives the build no token, no host and no more rights than kaniko needs', () => {
    const { pod } = manifestOf();
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(pod).not.toHaveProperty('hostNetwork');
    expect(pod).not.toHaveProperty('shareProcessNamespace');
    expect(pod.volumes?.every((volume) => volume.secret !== undefined)).toBe(true);
    expect(pod.containers[0]?.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('bounds CPU, memory and disk by the machine', () => {
    const { pod } = manifestOf();
    const resources = { cpu: '2', memory: '4Gi', 'ephemeral-storage': '20Gi' };
    expect(pod.containers[0]?.resources).toEqual({ requests: resources, limits: resources });
  });

  it('leads back to the build, the attempt and the tenant', () => {
    const { manifest } = manifestOf();
    expect(manifest.metadata).toMatchObject({
      labels: {
        'cygni.dev/build': job.buildId,
        'cygni.dev/attempt': '2',
        'cygni.dev/tenant': 'acme',
      },
      annotations: { 'cygni.dev/build-id': job.buildId, 'cygni.dev/repository': 'acme/site' },
    });
  });

  it('goes where the operator wants it', () => {
    const { pod } = manifestOf({
      nodeSelector: { pool: 'builds' },
      tolerations: [{ key: 'builds', operator: 'Exists' }],
      imagePullSecrets: ['mirror'],
    });
    expect(pod).toMatchObject({
      nodeSelector: { pool: 'builds' },
      tolerations: [{ key: 'builds', operator: 'Exists' }],
      imagePullSecrets: [{ name: 'mirror' }],
    });
  });

  it('trusts a private authority besides the public ones', () => {
    const certificateAuthority = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
    const { pod } = manifestOf({ certificateAuthority });
    expect(pod.containers[0]?.env).toContainEqual({
      name: 'SSL_CERT_DIR',
      value: '/kaniko/ssl/certs:/kaniko/.docker',
    });
    const keys = pod.volumes?.[0]?.secret?.items?.map(({ key }) => key);
    expect(keys).toEqual(['config.json', 'ca.pem']);
  });

  it('shows the proxy’s part of the Secret to the proxy alone', () => {
    const { pod } = manifestOf({}, true);
    const [proxy, kaniko] = pod.containers;
    expect(proxy?.name).toBe('registry-proxy');
    expect(proxy?.volumeMounts?.map(({ name }) => name)).toEqual(['proxy-secrets']);
    expect(kaniko?.volumeMounts?.map(({ name }) => name)).toEqual(['kaniko-secrets']);
    const volume = pod.volumes?.find(({ name }) => name === 'kaniko-secrets');
    expect(volume?.secret?.items).toEqual([{ key: 'config.json', path: 'config.json' }]);
  });
});

describe('the Secret', () => {
  const all = (reach: 'repository' | 'account') =>
    new Map([
      ['acme/site', credentials('site-password', reach)],
      ['acme/cache', credentials('cache-password', reach)],
    ]);
  const dataOf = (reach: 'repository' | 'account') =>
    secretData(
      job,
      {
        context: 'https://source?key',
        credentials: all(reach),
        baseImages: new Map([
          ['acme/base', credentials('base-password', reach)],
          // What is pushed to as well keeps its own.
          ['acme/cache', credentials('other-password', reach)],
        ]),
        throughProxy: reach === 'account',
      },
      settings(),
    );

  it('is owned by the Job', () => {
    expect(secretManifest(job, { uid: 'u' }, {}, 'builds').metadata).toMatchObject({
      name: jobName(job.buildId, job.attempt),
      ownerReferences: [{ kind: 'Job', name: jobName(job.buildId, job.attempt), uid: 'u' }],
    });
  });

  it('tells kaniko the credentials of each repository', () => {
    const auth = (password: string) => Buffer.from(`cygni:${password}`).toString('base64');
    expect(JSON.parse(dataOf('repository')['config.json'] ?? '')).toEqual({
      auths: {
        'registry.test:5000': { auth: auth('site-password') },
        'registry.test:5000/acme/site': { auth: auth('site-password') },
        'registry.test:5000/acme/cache': { auth: auth('cache-password') },
        'registry.test:5000/acme/base': { auth: auth('base-password') },
      },
    });
    expect(dataOf('repository')).not.toHaveProperty('proxy.json');
  });

  it('tells kaniko nothing that reaches a whole account, and the proxy what it may let through', () => {
    const data = dataOf('account');
    expect(JSON.parse(data['config.json'] ?? '')).toEqual({ auths: {} });
    expect(JSON.parse(data['proxy.json'] ?? '')).toEqual({
      port: 5001,
      upstreams: [
        {
          name: 'target',
          origin: 'https://registry.test:5000',
          credentials: {
            username: 'cygni',
            password: 'site-password',
            expiresAt: '2026-01-01T12:00:00.000Z',
          },
          repositories: [
            { name: 'acme/site', actions: ['pull', 'push'], tags: [`attempt-${job.buildId}-2`] },
            { name: 'acme/cache', actions: ['pull', 'push'] },
            { name: 'acme/base', actions: ['pull'] },
          ],
        },
      ],
    });
  });
});

describe('the network policy', () => {
  it('keeps builds from the metadata address and the cluster', () => {
    const policy = buildNetworkPolicy({
      namespace: 'builds',
      deny: ['10.0.0.0/8', 'fd00::/8'],
      allow: ['10.1.2.3/32'],
    });
    const blocks = policy.spec?.egress?.[0]?.to?.map(({ ipBlock }) => ipBlock);
    expect(blocks?.[0]?.except).toEqual(expect.arrayContaining(['169.254.0.0/16', '10.0.0.0/8']));
    expect(blocks?.[0]?.except).not.toContain('fd00::/8');
    expect(blocks?.[2]).toEqual({ cidr: '10.1.2.3/32' });
    expect(policy.spec?.ingress).toEqual([]);
  });
});

describe('the options', () => {
  it('name what is wrong with them', () => {
    expect(() => settings({ namespace: 'Builds!' })).toThrow(/namespace/);
    expect(() => settings({ image: 'a b' })).toThrow(/image/);
    expect(() => settings({ mirrors: ['http://x'] })).toThrow(/mirrors/);
  });
});
