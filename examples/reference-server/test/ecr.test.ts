import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTerminalBuildState } from '@cygni/core';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { motoIsMissing } from '../../../packages/artifacts-s3/test/support/moto.ts';
import {
  type EcrBackend,
  type EcrFake,
  startEcrBackend,
  startEcrFake,
} from '../../../packages/registry-ecr/test/support/ecr-fake/start-ecr-fake.ts';
import { type ApiClient, createApiClient } from '../../demo/src/api-client.ts';
import { packHelloSite } from '../../demo/src/pack-source.ts';
import { readConfiguration } from '../src/configuration.ts';
import { type RunningServer, startServer } from '../src/server.ts';
import { eventually } from './support/eventually.ts';

describe.skipIf(motoIsMissing)('the reference server with its images in a fake of ECR', () => {
  let directory: string;
  let backend: EcrBackend;
  let fake: EcrFake;
  let server: RunningServer;
  let archive: Awaited<ReturnType<typeof packHelloSite>>;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-server-ecr-'));
    archive = await packHelloSite(directory);
    backend = await startEcrBackend();
    fake = await startEcrFake(backend);
    const result = readConfiguration({
      CYGNI_DATA_DIR: directory,
      PORT: '0',
      BUILD_ENGINE: 'assemble',
      DEPLOY_RUNTIME: 'namespaces',
    });
    if (!result.ok) throw new Error(result.problems.join('; '));
    // AWS's own names lead to AWS: the fake is on this machine.
    const ecr = {
      host: fake.host,
      insecure: true,
      endpoint: fake.endpoint,
      registryId: '123456789012',
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      repositories: { tags: 'immutable' },
    } as const;
    server = await startServer({ ...result.configuration, ecr }, pino({ level: 'silent' }));
  });
  afterAll(async () => {
    await server?.close();
    await fake?.[Symbol.asyncDispose]();
    await backend?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  async function buildToItsEnd(api: ApiClient, request: object) {
    const { id } = await api.build(request);
    return eventually(async () => {
      const found = await api.getBuild(id);
      return isTerminalBuildState(found.state) ? found : undefined;
    }, AbortSignal.timeout(60_000));
  }

  it('builds into a repository that it creates, deploys from there, and moves no tag', async () => {
    const signal = AbortSignal.timeout(60_000);
    const token = (await readFile(join(directory, 'token'), 'utf8')).trim();
    const api = createApiClient(server.url, token, signal);
    const source = await api.upload(archive);
    const build = async (dockerfile: string) =>
      buildToItsEnd(api, {
        ...{ sourceId: source.id, repository: 'hello-site', dockerfile, tags: ['one'] },
      });
    const first = await build('Dockerfile');
    expect(first).toMatchObject({
      state: 'SUCCEEDED',
      image: { reference: expect.stringMatching(`^${fake.host}/default/hello-site@sha256:`) },
    });
    const { id } = await api.deploy({
      service: 'hello',
      buildId: first.id,
      arguments: ['--servedir=/site', '--serve=0.0.0.0:$(PORT)', '--watch=forever'],
      healthCheck: { intervalSeconds: 0.2 },
      rollout: { bakeSeconds: 0 },
    });
    expect(await api.waitForDeployment(id, () => {})).toMatchObject({ state: 'SUCCEEDED' });

    expect(await build('Dockerfile.broken')).toMatchObject({
      state: 'FAILED',
      failure: { reason: 'user_error', message: expect.stringContaining('tag one') },
    });
    // One token for all of it.
    const asked = fake.seen.map(({ operation }) => operation);
    expect(asked.filter((operation) => operation === 'GetAuthorizationToken')).toHaveLength(1);
    // Nor is there a registry here.
    const answer = await fetch(`${server.url}/v2/`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(404);
  });

  it.each(['POST', 'PUT'])(
    'builds in one attempt though its token is refused from the first %s of a push on',
    async (method) => {
      const token = (await readFile(join(directory, 'token'), 'utf8')).trim();
      const api = createApiClient(server.url, token, AbortSignal.timeout(60_000));
      const source = await api.upload(archive);
      let expired = 0;
      fake.fault = (request) => {
        if (expired === 0 && request.method === method && request.operation === undefined) {
          expired += 1;
          fake.expireTokens();
        }
        return undefined;
      };
      const repository = `expiring-${method.toLowerCase()}`;
      const found = await buildToItsEnd(api, { sourceId: source.id, repository });
      expect(found).toMatchObject({ state: 'SUCCEEDED', attempt: 1 });
      expect(expired).toBe(1);
    },
  );
});
