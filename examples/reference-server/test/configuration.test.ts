import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfiguration } from '../src/configuration.ts';

describe('the configuration', () => {
  it('needs no variable', () => {
    expect(readConfiguration({})).toMatchObject({
      ok: true,
      configuration: { port: 8080, host: '127.0.0.1', databaseUrl: undefined, budgetCap: null },
    });
  });

  it('takes a variable that is set to nothing as not set', () => {
    expect(readConfiguration({ PORT: '', DATABASE_URL: '' })).toMatchObject({
      ok: true,
      configuration: { port: 8080, databaseUrl: undefined },
    });
  });

  it.each([
    ['PORT', '99999'],
    ['PORT', 'hunter2'],
    ['HOST', 'hunter2'],
    ['DATABASE_URL', 'mysql://user:hunter2@db/x'],
    ['S3_ENDPOINT', 'hunter2'],
    ['S3_FORCE_PATH_STYLE', 'hunter2'],
    ['ECR_REGISTRY', 'https://hunter2'],
    ['ECR_ENDPOINT', 'hunter2'],
    ['ECR_IMMUTABLE_TAGS', 'hunter2'],
    ['ECR_LIFECYCLE_POLICY', '{"hunter2":'],
    ['ECR_REPOSITORY_POLICY', '["hunter2"]'],
    ['REDIS_URL', 'http://:hunter2@cache'],
    ['REDIS_CLUSTER', 'hunter2'],
    ['REGISTRY_MIRRORS', 'hunter2'],
    ['REGISTRY_MIRRORS', 'docker.io=https://user:hunter2@mirror.example'],
    ['REGISTRY_GARBAGE_SECONDS', 'hunter2'],
    ['BUILD_ENGINE', 'hunter2'],
    ['WEBHOOK_KEYS', 'hunter2'],
    ['SEALING_KEYS', 'hunter2'],
    ['SNS_TOPIC_ARN', 'hunter2'],
    ['SNS_ENDPOINT', 'hunter2'],
    ['BUDGET_CAP', '-5'],
    ['REGISTRY_URL', 'ftp://hunter2'],
    ['REGISTRY_URL', 'http://registry:5000/hunter2'],
    ['REGISTRY_URL', 'https://user:hunter2@registry:5000'],
  ])('refuses %s=%s, naming the variable and not its value', (name, value) => {
    const result = readConfiguration({ [name]: value });
    expect(result).toMatchObject({ ok: false, problems: [expect.stringContaining(name)] });
    expect(JSON.stringify(result)).not.toContain(value);
  });

  it.each([
    [{}, '127.0.0.1'],
    [{ HOST: '0.0.0.0' }, '127.0.0.1'],
    [{ HOST: '10.1.2.3' }, '10.1.2.3'],
    [{ HOST: '0.0.0.0', ADVERTISED_HOST: 'cygni.internal' }, 'cygni.internal'],
  ])('advertises for %o the host %s', (environment, advertisedHost) => {
    expect(readConfiguration(environment)).toMatchObject({ configuration: { advertisedHost } });
  });

  it('takes host, port and scheme of the registry from its address', () => {
    expect(readConfiguration({ REGISTRY_URL: 'http://registry:5000' })).toMatchObject({
      configuration: { registry: { host: 'registry:5000', insecure: true, username: '' } },
    });
  });

  describe('where builds are Jobs on Kubernetes', () => {
    const kaniko = {
      CYGNI_BUILDER: 'kaniko',
      KUBECONFIG: '/etc/cygni/kubeconfig',
      S3_BUCKET: 'artifacts',
    };

    it('leaves the adapter its defaults', () => {
      expect(readConfiguration(kaniko)).toMatchObject({
        configuration: {
          kaniko: { kubeconfig: '/etc/cygni/kubeconfig', namespace: 'cygni-builds' },
          buildConcurrency: 16,
        },
      });
      expect(JSON.stringify(readConfiguration(kaniko))).not.toContain('flavour');
    });

    it('takes lists of hosts and sizes of machines', () => {
      const machine = { cpu: '500m', memory: '1Gi', ephemeralStorage: '4Gi' };
      const machines = { small: machine, medium: machine, large: machine };
      const environment = {
        ...kaniko,
        KANIKO_MIRRORS: 'mirror:5000, other:5000',
        KANIKO_MACHINES: JSON.stringify(machines),
      };
      expect(readConfiguration(environment)).toMatchObject({
        configuration: { kaniko: { mirrors: ['mirror:5000', 'other:5000'], machines } },
      });
    });

    it('takes where builds may run, and what opens their images', () => {
      const nodeSelector = { 'example.com/builds': 'yes' };
      const tolerations = [{ key: 'example.com/builds', operator: 'Exists', effect: 'NoSchedule' }];
      const environment = {
        ...kaniko,
        KANIKO_NODE_SELECTOR: JSON.stringify(nodeSelector),
        KANIKO_TOLERATIONS: JSON.stringify(tolerations),
        KANIKO_PULL_SECRETS: 'one, two',
      };
      expect(readConfiguration(environment)).toMatchObject({
        configuration: {
          kaniko: { nodeSelector, tolerations, imagePullSecrets: ['one', 'two'] },
        },
      });
    });

    it.each([
      ['0', null],
      ['24', { ttlHours: 24 }],
    ])('takes a cache of %s hours as %o', (KANIKO_CACHE_HOURS, cache) => {
      expect(readConfiguration({ ...kaniko, KANIKO_CACHE_HOURS })).toMatchObject({
        configuration: { kaniko: { cache } },
      });
    });

    it('says why it needs a bucket', () => {
      expect(readConfiguration({ ...kaniko, S3_BUCKET: '' })).toEqual({
        ok: false,
        problems: ['S3_BUCKET: needed with CYGNI_BUILDER=kaniko: pods fetch the source from there'],
      });
    });

    it.each([
      ['KUBECONFIG', ''],
      ['S3_BUCKET', ''],
      ['S3_ENDPOINT', 'http://hunter2:9000'],
      ['KANIKO_FLAVOUR', 'hunter2'],
      ['KANIKO_MACHINES', '{"hunter2"'],
      ['KANIKO_NODE_SELECTOR', '{"arch":["hunter2"]}'],
      ['KANIKO_TOLERATIONS', '[{"effect":"hunter2"}]'],
      ['KANIKO_CACHE_HOURS', 'hunter2'],
      ['KANIKO_CA_FILE', '/hunter2'],
    ])('refuses %s=%s, naming the variable and not its value', (name, value) => {
      const result = readConfiguration({ ...kaniko, [name]: value });
      expect(result).toMatchObject({ ok: false, problems: [expect.stringContaining(name)] });
      expect(JSON.stringify(result)).not.toContain('hunter2');
    });
  });

  it('keeps images in ECR once a registry is named', () => {
    expect(readConfiguration({})).toMatchObject({ configuration: { ecr: undefined } });
    const environment = {
      ECR_REGISTRY: '123456789012.dkr.ecr.eu-west-1.amazonaws.com',
      ECR_IMMUTABLE_TAGS: 'true',
      ECR_SCAN_ON_PUSH: 'false',
      ECR_KMS_KEY_ID: 'alias/images',
      ECR_LIFECYCLE_POLICY: '{"rules":[]}',
    };
    expect(readConfiguration(environment)).toMatchObject({
      configuration: {
        ecr: {
          host: '123456789012.dkr.ecr.eu-west-1.amazonaws.com',
          repositories: {
            tags: 'immutable',
            scanOnPush: false,
            encryption: { type: 'KMS', keyId: 'alias/images' },
            lifecyclePolicy: { rules: [] },
          },
        },
      },
    });
  });

  it('keeps artifacts in S3 once a bucket is named', () => {
    expect(readConfiguration({})).toMatchObject({ configuration: { s3: undefined } });
    const environment = {
      S3_BUCKET: 'artifacts',
      S3_PREFIX: 'cygni',
      S3_ENDPOINT: 'http://127.0.0.1:9000',
      S3_FORCE_PATH_STYLE: 'false',
      S3_ABORT_INCOMPLETE_UPLOADS_DAYS: '2',
    };
    expect(readConfiguration(environment)).toMatchObject({
      configuration: {
        s3: {
          bucket: 'artifacts',
          prefix: 'cygni',
          endpoint: 'http://127.0.0.1:9000',
          forcePathStyle: false,
          conditionalWrites: true,
          lifecycle: { abortIncompleteUploadsAfterDays: 2 },
        },
      },
    });
  });

  it('names mirrors by registry, in the order they are tried', () => {
    const named = 'docker.io=https://mirror.example/hub, docker.io=http://10.0.0.5:5000';
    expect(readConfiguration({ REGISTRY_MIRRORS: named })).toMatchObject({
      configuration: {
        registryMirrors: [
          { registry: 'docker.io', url: 'https://mirror.example/hub' },
          { registry: 'docker.io', url: 'http://10.0.0.5:5000' },
        ],
      },
    });
  });

  describe('of what is in files', () => {
    let directory: string;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'cygni-files-'));
    });
    afterEach(() => rm(directory, { recursive: true }));

    it('reads a secret without the newline at its end', async () => {
      const path = join(directory, 'redis');
      await writeFile(path, 'redis://:hunter2@cache:6379\n');
      expect(readConfiguration({ REDIS_URL_FILE: path })).toMatchObject({
        configuration: { redisUrl: 'redis://:hunter2@cache:6379' },
      });
    });

    it('names the variable of a file that cannot be read, or that holds what is wrong', async () => {
      const path = join(directory, 'database');
      const missing = readConfiguration({ DATABASE_URL_FILE: path });
      expect(missing).toMatchObject({
        problems: [expect.stringMatching(/^DATABASE_URL_FILE: .*ENOENT/)],
      });
      await writeFile(path, 'mysql://:hunter2@db');
      const wrong = readConfiguration({ DATABASE_URL_FILE: path });
      expect(wrong).toMatchObject({ problems: [expect.stringMatching(/^DATABASE_URL: /)] });
      expect(JSON.stringify(wrong)).not.toContain('hunter2');
    });

    it('refuses a variable that is set twice', async () => {
      const path = join(directory, 'redis');
      await writeFile(path, 'redis://cache');
      const result = readConfiguration({ REDIS_URL: 'redis://cache', REDIS_URL_FILE: path });
      expect(result).toMatchObject({
        problems: [expect.stringMatching(/^REDIS_URL: .*REDIS_URL_FILE/)],
      });
    });
  });

  it('knows which of its values must never be shown', () => {
    const result = readConfiguration({
      DATABASE_URL: 'postgres://cygni:p%40ss-word@db/cygni',
      REGISTRY_URL: 'https://registry',
      REGISTRY_PASSWORD: 'hunter22',
    });
    const secrets = result.ok ? result.configuration.secrets : [];
    expect(secrets).toContain('p@ss-word');
    expect(secrets).toContain('hunter22');
  });

  it.each([
    [{}, true],
    [{ NODE_ENV: 'production' }, false],
    [{ METRICS_PORT: '9464' }, false],
    [{ NODE_ENV: 'test' }, true],
  ])('with %o has metrics on the port of the API: %s', (environment, hasPublicMetrics) => {
    expect(readConfiguration(environment)).toMatchObject({ configuration: { hasPublicMetrics } });
  });

  it('takes issuers as JSON, and names the field that is wrong', () => {
    const issuer = {
      issuer: 'https://token.actions.githubusercontent.com',
      audience: 'https://cygni.internal',
      algorithms: ['RS256'],
      jwks: { url: 'https://token.actions.githubusercontent.com/.well-known/jwks' },
      grants: [{ match: { repository_id: '74' }, tenantId: 'acme', scopes: ['builds:read'] }],
    };
    expect(readConfiguration({ CYGNI_ISSUERS: JSON.stringify([issuer]) })).toMatchObject({
      configuration: { trustedIssuers: [issuer] },
    });
    for (const [field, change] of [
      ['grants', { grants: undefined }],
      ['algorithms.0', { algorithms: ['HS256'] }],
      ['jwks.url', { jwks: { url: 'http://elsewhere/jwks' } }],
    ] as const) {
      const text = JSON.stringify([{ ...issuer, ...change }]);
      expect(readConfiguration({ CYGNI_ISSUERS: text })).toMatchObject({
        problems: [expect.stringContaining(`CYGNI_ISSUERS.0.${field}: `)],
      });
    }
  });

  it('tells of everything that is wrong at once', () => {
    const result = readConfiguration({ PORT: 'x', HOST: 'y' });
    expect(result.ok ? [] : result.problems).toHaveLength(2);
  });
});
