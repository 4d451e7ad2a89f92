import { Failure } from './failure.ts';
import {
  digestPattern,
  maximumRepositoryLength,
  repositoryPattern,
  tagPattern,
  upstreamPattern,
} from './names.ts';

/** A repository as the build names it: below the name of an upstream. */
export interface Place {
  readonly upstream: string;
  readonly repository: string;
}

export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'manifest'; readonly place: Place; readonly reference: string }
  | { readonly kind: 'blob'; readonly place: Place; readonly digest: string }
  | { readonly kind: 'uploads'; readonly place: Place }
  | { readonly kind: 'upload'; readonly place: Place; readonly session: string };

const sessionPattern = /^[0-9a-f]{32}$/;

/**
 * Which endpoint a path names. Nothing is decoded and nothing is normalized: a path that is not
 * already in its one canonical form names no endpoint. What goes upstream is made from the parts
 * that leave here, never from the path.
 * @throws Failure
 */
export function routeOf(path: string): Route {
  const segments = path.split('/');
  if (segments[0] !== '' || segments[1] !== 'v2') throw noSuchEndpoint();
  const rest = segments.slice(2);
  if (rest.length === 0 || (rest.length === 1 && rest[0] === '')) return { kind: 'base' };

  const last = rest.at(-1) ?? '';
  const beforeLast = rest.at(-2);
  if (beforeLast === 'blobs' && last === 'uploads') {
    return { kind: 'uploads', place: placeIn(rest, 2) };
  }
  if (rest.at(-3) === 'blobs' && beforeLast === 'uploads') {
    const place = placeIn(rest, 3);
    if (last === '') return { kind: 'uploads', place };
    if (sessionPattern.test(last)) return { kind: 'upload', place, session: last };
    throw new Failure(404, 'BLOB_UPLOAD_UNKNOWN', 'no such upload');
  }
  if (beforeLast === 'manifests' && (tagPattern.test(last) || digestPattern.test(last))) {
    return { kind: 'manifest', place: placeIn(rest, 2), reference: last };
  }
  if (beforeLast === 'blobs' && digestPattern.test(last)) {
    return { kind: 'blob', place: placeIn(rest, 2), digest: last };
  }
  throw noSuchEndpoint();
}

/** `from` of a mount names a repository as the build sees it, too. */
export function placeOf(name: string): Place | undefined {
  const slash = name.indexOf('/');
  const upstream = name.slice(0, Math.max(slash, 0));
  const repository = name.slice(slash + 1);
  if (!upstreamPattern.test(upstream)) return undefined;
  if (repository.length > maximumRepositoryLength) return undefined;
  if (!repositoryPattern.test(repository)) return undefined;
  return { upstream, repository };
}

function placeIn(rest: readonly string[], suffix: number): Place {
  const place = placeOf(rest.slice(0, -suffix).join('/'));
  if (place) return place;
  throw new Failure(404, 'NAME_INVALID', 'not <upstream>/<repository>');
}

function noSuchEndpoint(): Failure {
  return new Failure(404, 'UNSUPPORTED', 'no such endpoint');
}
