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
import { createApiClient } from '../../demo/src/api-client.ts';
import { packHelloSite } from '../../demo/src/pack-source.ts';
import { readConfiguration } from '../src/configuration.ts';
import { type RunningServer, startServer } from '../src/server.ts';

describe.skipIf(motoIsMissing)('the reference server with its images in a fake of ECR', () => {
  let directory: string;
  let backend: EcrBackend;
  let fake: EcrFake;
  let server: RunningServer;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-server-ecr-'));
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

  it('builds into a repository that it creates, deploys from there, and moves no tag', async () => {
    const signal = AbortSignal.timeout(60_000);
    const token = (await readFile(join(directory, 'token'), 'utf8')).trim();
    const api = createApiClient(server.url, token, signal);
    const source = await api.upload(await packHelloSite(directory));
    const build = async (dockerfile: string) => {
      const request = { sourceId: source.id, repository: 'hello-site', dockerfile, tags: ['one'] };
      const { id } = await api.build(request);
      for (;;) {
        signal.throwIfAborted();
        const found = await api.getBuild(id);
        if (isTerminalBuildState(found.state)) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
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
});
