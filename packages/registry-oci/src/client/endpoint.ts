import { CygniError, type RepositoryLocation } from '@cygni/core';
import { assertRepository } from '../reference.ts';

export interface Endpoint {
  readonly origin: URL;
  readonly repository: string;
}

const dockerHubNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

export function isDockerHub(host: string): boolean {
  return dockerHubNames.has(host);
}

/**
 * Where the API of a location's registry is, and what it calls the repository:
 * Docker Hub answers under another host, and its official images live below `library/`.
 * @throws `invalid_input`
 */
export function endpointOf(location: RepositoryLocation): Endpoint {
  assertRepository(location.repository);
  const isHub = isDockerHub(location.host);
  const host = isHub ? 'registry-1.docker.io' : location.host;
  const origin = parseOrigin(`${location.insecure ? 'http' : 'https'}://${host}/`, host);
  return { origin, repository: hubName(isHub, location.repository) };
}

/** What the registry of `location` calls another of its repositories. @throws `invalid_input` */
export function siblingOf(location: RepositoryLocation, repository: string): string {
  return endpointOf({ ...location, repository }).repository;
}

function hubName(isHub: boolean, repository: string): string {
  return isHub && !repository.includes('/') ? `library/${repository}` : repository;
}

function parseOrigin(value: string, host: string): URL {
  const url = URL.parse(value);
  // Anything that is more than a host (user@host, host/path) comes out different from what went in.
  if (url?.pathname !== '/' || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new CygniError('invalid_input', `not a registry host: ${JSON.stringify(host)}`);
  }
  return url;
}
