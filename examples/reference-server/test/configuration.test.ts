import { describe, expect, it } from 'vitest';
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
    ['REDIS_URL', 'http://:hunter2@cache'],
    ['REDIS_CLUSTER', 'hunter2'],
    ['REGISTRY_MIRRORS', 'hunter2'],
    ['REGISTRY_MIRRORS', 'docker.io=https://user:hunter2@mirror.example'],
    ['BUILD_ENGINE', 'hunter2'],
    ['BUDGET_CAP', '-5'],
  ])('refuses %s=%s, naming the variable and not its value', (name, value) => {
    const result = readConfiguration({ [name]: value });
    expect(result).toMatchObject({ ok: false, problems: [expect.stringContaining(name)] });
    expect(JSON.stringify(result)).not.toContain(value);
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

  it('tells of everything that is wrong at once', () => {
    const result = readConfiguration({ PORT: 'x', HOST: 'y' });
    expect(result.ok ? [] : result.problems).toHaveLength(2);
  });
});
