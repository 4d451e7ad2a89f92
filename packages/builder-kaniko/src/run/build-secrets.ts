import {
  type BuildJob,
  type Call,
  CygniError,
  isCygniError,
  type Registry,
  type RegistryCredentials,
} from '@cygni/core';
import pRetry from 'p-retry';
import { ownRepositories } from '../base-images/own-repositories.ts';
import { readDockerfile } from '../base-images/read-dockerfile.ts';
import type { BuildSecrets } from '../job/secret.ts';
import type { KanikoSettings } from '../options.ts';

/** How long after the build's own timeout the source can still be fetched: a Job may wait for its node. */
const presignSlackSeconds = 900;
/** How long a source is searched for its Dockerfile. A pod waits for its Secret a little longer than that. */
const dockerfileWithinMs = 20_000;
/** The node needs a minute or two until a container sees a changed Secret. */
const renewBeforeMs = 180_000;

/** The repository of the layer cache of a tenant. The tenant comes first, so that none can poison another's. */
export function cacheRepositoryOf(job: BuildJob, settings: KanikoSettings): string | null {
  return settings.cache && `${job.tenantId}/${settings.cache.repository}`;
}

/**
 * Asks for all that the build must be told. A cache that cannot be reached slows the build down, and does not fail it:
 * its repository is missing from the credentials then.
 * @throws `invalid_configuration`, `unavailable`, `forbidden` and what else the registry throws
 */
export async function obtainSecrets(
  job: BuildJob,
  registry: Registry,
  settings: KanikoSettings,
  call: Call,
): Promise<BuildSecrets> {
  const cacheRepository = cacheRepositoryOf(job, settings);
  const [context, own, cache] = await Promise.all([
    presign(job, call),
    retried(call, () => registry.credentials(job.destination.repository, ['pull', 'push'], call)),
    cacheRepository === null
      ? null
      : retried(call, async () => {
          await registry.ensureRepository(cacheRepository, call);
          return registry.credentials(cacheRepository, ['pull', 'push'], call);
        }).catch((error) => {
          if (call.signal.aborted) throw error;
          call.log.warn({ err: error, cacheRepository }, 'a build goes without its layer cache');
          return null;
        }),
  ]);
  const credentials = new Map<string, RegistryCredentials>([[job.destination.repository, own]]);
  if (cacheRepository !== null && cache) credentials.set(cacheRepository, cache);
  const throughProxy = [...credentials.values()].some(({ reach }) => reach === 'account');
  if (throughProxy && !settings.registryProxy) {
    throw new CygniError(
      'invalid_configuration',
      'the registry hands out credentials for a whole account, which a RUN step could read: set registryProxy',
    );
  }
  return { context, credentials, baseImages: new Map(), throughProxy };
}

/**
 * The tenant's own repositories that the build may take images from. Its source is read for them only where the registry
 * asks for credentials; a source that cannot be read is for kaniko to complain about.
 */
export async function findBaseImages(
  job: BuildJob,
  { credentials }: BuildSecrets,
  call: Call,
): Promise<readonly string[]> {
  const own = credentials.get(job.destination.repository);
  if (!own || own.password === '') return [];
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(dockerfileWithinMs)]);
  try {
    const dockerfile = await readDockerfile(job, { ...call, signal });
    return dockerfile === null ? [] : ownRepositories(dockerfile, job);
  } catch (error) {
    if (call.signal.aborted) throw error;
    const { buildId } = job;
    call.log.warn({ err: error, buildId }, 'a build may take no images from private repositories');
    return [];
  }
}

/** Adds what opens the repositories of base images for pulls. What cannot be had is left out. */
export async function withBaseImages(
  secrets: BuildSecrets,
  repositories: readonly string[],
  registry: Registry,
  call: Call,
): Promise<BuildSecrets> {
  const baseImages = new Map<string, RegistryCredentials>();
  const obtain = async (repository: string) => {
    try {
      const found = await retried(call, () => registry.credentials(repository, ['pull'], call));
      if (secrets.throughProxy || found.reach === 'repository') baseImages.set(repository, found);
    } catch (error) {
      if (call.signal.aborted) throw error;
      call.log.warn({ err: error, repository }, 'a build may take no images from a repository');
    }
  };
  await Promise.all(repositories.map(obtain));
  return { ...secrets, baseImages };
}

async function presign(job: BuildJob, call: Call): Promise<string> {
  const seconds = job.timeoutSeconds + presignSlackSeconds;
  const url = await retried(call, () => job.source.presign(seconds, call));
  if (url.protocol === 'https:') return url.href;
  throw new CygniError(
    'invalid_configuration',
    'kaniko fetches the source by https only: use an artifact store that presigns such addresses',
  );
}

/** How long until the credentials must be renewed; null: they last. */
export function renewalDelayMs(
  { credentials, baseImages }: Pick<BuildSecrets, 'credentials' | 'baseImages'>,
  now: number,
): number | null {
  const ends = [...credentials.values(), ...baseImages.values()].flatMap(({ expiresAt }) =>
    expiresAt === null ? [] : [Date.parse(expiresAt) - now],
  );
  if (ends.length === 0) return null;
  const left = Math.min(...ends);
  // What lasts for minutes only must not be asked for all the time.
  return Math.max(1_000, left - renewBeforeMs, left / 2);
}

function retried<Value>(call: Call, work: () => Promise<Value>): Promise<Value> {
  return pRetry(work, {
    retries: 4,
    minTimeout: 200,
    maxTimeout: 2_000,
    randomize: true,
    signal: call.signal,
    shouldRetry: ({ error }) => isCygniError(error) && error.retryable,
  });
}
