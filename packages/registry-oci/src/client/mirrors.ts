import type { Call, RepositoryLocation, Retry } from '@cygni/core';
import { isTransient, mapError } from '../map-error.ts';
import type { ImageClientSettings } from '../options.ts';
import { endpointOf, isDockerHub } from './endpoint.ts';

type Mirror = ImageClientSettings['mirrors'][string][number];

export interface Pulls {
  /**
   * Reads from the mirrors of a location's registry, one try each, then from the registry itself, with
   * retries. Whatever a mirror fails with, the next one is asked; only an abort ends it.
   */
  read<Value>(
    what: string,
    location: RepositoryLocation,
    call: Call,
    attempt: (source: RepositoryLocation) => Promise<Value>,
  ): Promise<Value>;
  /** Leaves a mirror alone for a while that gave something else than what was asked for. */
  avoid(source: RepositoryLocation): void;
}

/** So that a mirror that is down costs one wait, and not one for each blob of an image. */
const restMs = 30_000;

export function createPulls(mirrors: ImageClientSettings['mirrors'], retry: Retry): Pulls {
  /** On the clock of performance.now(). */
  const restsUntil = new Map<string, number>();
  const byRegistry = new Map(Object.entries(mirrors).map(([host, each]) => [nameOf(host), each]));
  const hosts = new Set(Object.values(mirrors).flatMap((each) => each.map(({ host }) => host)));
  const fromRegistry = withoutMirrors(retry);

  function rest(host: string): void {
    if (hosts.has(host)) restsUntil.set(host, performance.now() + restMs);
  }

  return {
    async read(what, location, call, attempt) {
      for (const mirror of byRegistry.get(nameOf(location.host)) ?? []) {
        if ((restsUntil.get(mirror.host) ?? 0) > performance.now()) continue;
        try {
          return await attempt(await sourceAt(mirror, location));
        } catch (error) {
          const mapped = mapError(error, `${what} from mirror ${mirror.host}`, call.signal);
          if (call.signal.aborted) throw mapped;
          if (isTransient(error) || mapped.code === 'integrity') rest(mirror.host);
          const level = mapped.code === 'not_found' ? 'debug' : 'warn';
          call.log[level](
            { mirror: mirror.host, reason: mapped.message },
            'a mirror is passed over',
          );
        }
      }
      return fromRegistry(what, location, call, attempt);
    },
    avoid: ({ host }) => rest(host),
  };
}

/** For reads that are part of a push, where only the registry's own word counts. */
export function withoutMirrors(retry: Retry): Pulls['read'] {
  return (what, location, call, attempt) => retry(what, call, () => attempt(location));
}

/** The registry's own credentials stay with it: a mirror gets those that were given for the mirror, or none. */
async function sourceAt(mirror: Mirror, location: RepositoryLocation): Promise<RepositoryLocation> {
  const { host, insecure, prefix } = mirror;
  const { repository } = endpointOf(location);
  const credentials = await mirror.credentials?.();
  return { host, insecure, repository: prefix + repository, ...(credentials && { credentials }) };
}

function nameOf(host: string): string {
  return isDockerHub(host) ? 'docker.io' : host;
}
