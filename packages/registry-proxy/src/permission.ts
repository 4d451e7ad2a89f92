import type { ProxyConfiguration, Upstream } from './configuration.ts';
import { Failure } from './failure.ts';
import { digestPattern } from './names.ts';
import type { Place } from './route.ts';

type Action = 'pull' | 'push';

/** @throws Failure if the configuration does not let the build do this */
export function assertAllowed(
  configuration: ProxyConfiguration,
  place: Place,
  action: Action,
  reference?: string,
): Upstream {
  const upstream = configuration.upstreams.find((each) => each.name === place.upstream);
  const repository = upstream && repositoryIn(upstream, place.repository);
  if (!upstream || !repository?.actions.includes(action)) {
    throw notAllowed(`this build may not ${action} here`);
  }
  if (action === 'push' && reference !== undefined && !digestPattern.test(reference)) {
    if (repository.tags && !repository.tags.includes(reference)) {
      throw notAllowed('this build may not push this tag');
    }
  }
  return upstream;
}

export function isAllowed(
  configuration: ProxyConfiguration,
  place: Place,
  action: Action,
): boolean {
  const upstream = configuration.upstreams.find((each) => each.name === place.upstream);
  return upstream
    ? (repositoryIn(upstream, place.repository)?.actions.includes(action) ?? false)
    : false;
}

/** The scope of a bearer token: what the configuration allows there, whatever the request is. */
export function scopeOf(upstream: Upstream, repository: string): string {
  const actions = repositoryIn(upstream, repository)?.actions ?? [];
  return `repository:${repository}:${actions.includes('push') ? 'pull,push' : 'pull'}`;
}

function repositoryIn(upstream: Upstream, name: string) {
  return (
    upstream.repositories.find((each) => each.name === name) ??
    upstream.repositories.find((each) => each.name === '*')
  );
}

function notAllowed(message: string): Failure {
  return new Failure(403, 'DENIED', message, { reason: 'not_allowed' });
}
