import type { BuildJob, BuildRun, Registry } from '@cygni/core';
import { createKanikoPipeline } from '../../src/create-kaniko-pipeline.ts';
import { kanikoDestination } from '../../src/job/arguments.ts';
import { jobName } from '../../src/job/names.ts';
import { testCall } from '../log/following.ts';
import { scriptedRegistry } from '../support/scripted-registry.ts';
import type { startFakeApiServer } from './fake-api-server.ts';

type FakeApiServer = Awaited<ReturnType<typeof startFakeApiServer>>;

const digest = `sha256:${'0'.repeat(64)}`;
const info = (message: string) => `time="2026-01-01T00:00:00Z" level=info msg="${message}"`;

function registryOfAll(answers: Partial<Registry>): Registry {
  return {
    ...scriptedRegistry(),
    ensureRepository: async () => {},
    credentials: async () => ({
      username: '',
      password: '',
      expiresAt: null,
      reach: 'repository',
    }),
    resolve: async () => ({ digest, sizeBytes: 1, mediaType: '' }),
    ...answers,
  };
}

function buildOf(buildId: string): BuildJob {
  return {
    buildId,
    attempt: 1,
    tenantId: 'acme',
    source: {
      sizeBytes: 1,
      sha256: '',
      open: () => Promise.reject(new Error('unused')),
      presign: async () => new URL('https://sources.test/source.tar.gz'),
    },
    dockerfile: 'Dockerfile',
    target: null,
    buildArguments: {},
    machine: 'small',
    timeoutSeconds: 600,
    destination: { host: 'registry.test', insecure: false, repository: 'acme/app' },
  };
}

/**
 * A pipeline whose cluster is played, with builds that run until they are told that they have pushed. The registry says yes
 * to whatever `answers` does not answer.
 */
export async function openBuilds(
  server: FakeApiServer,
  requestsPerSecond: number,
  answers: Partial<Registry> = {},
) {
  // A thousand of them take half a minute on a machine that has much else to do.
  const call = testCall(AbortSignal.timeout(120_000));
  const pipeline = createKanikoPipeline({
    kubeconfig: server.kubeconfig,
    namespace: 'builds',
    registry: registryOfAll(answers),
    cache: null,
    requestsPerSecond,
  });
  await pipeline.open(call);
  return {
    call,
    start: (buildId: string): Promise<BuildRun> => pipeline.start(buildOf(buildId), call),
    /** As kaniko says it. */
    push(buildId: string) {
      const destination = kanikoDestination(buildOf(buildId), false);
      server.print(jobName(buildId, 1), info(`Pushing image to ${destination}`));
      server.print(jobName(buildId, 1), info(`Pushed registry.test/acme/app@${digest}`));
    },
    [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose](),
  };
}
