import { isRepository, isTag } from '../reference.ts';
import { isDigest } from './digest.ts';
import { SpecFailure } from './spec-failure.ts';

export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'manifest'; readonly repository: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: string }
  | { readonly kind: 'uploads'; readonly repository: string }
  | { readonly kind: 'upload'; readonly repository: string; readonly id: string }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'referrers'; readonly repository: string; readonly digest: string };

const uploadId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Which endpoint a path names. Nothing leaves here that has not the exact form of a name, digest,
 * tag or upload id: that, and not a later check, is why no request reaches beside the directory.
 * @throws SpecFailure
 */
export function routeOf(encodedPath: string): Route {
  const segments = decode(encodedPath).split('/');
  if (segments[0] !== '' || segments[1] !== 'v2') throw noSuchEndpoint();
  const path = segments.slice(2);
  if (path.length === 0 || (path.length === 1 && path[0] === '')) return { kind: 'base' };

  const last = path.at(-1) ?? '';
  const beforeLast = path.at(-2);
  if (beforeLast === 'blobs' && last === 'uploads') {
    return { kind: 'uploads', repository: nameIn(path, 2) };
  }
  if (path.at(-3) === 'blobs' && beforeLast === 'uploads') {
    const repository = nameIn(path, 3);
    return last === ''
      ? { kind: 'uploads', repository }
      : { kind: 'upload', repository, id: uploadIdIn(last) };
  }
  if (beforeLast === 'manifests') {
    const repository = nameIn(path, 2);
    return { kind: 'manifest', repository, reference: referenceIn(last) };
  }
  if (beforeLast === 'blobs') {
    const repository = nameIn(path, 2);
    return { kind: 'blob', repository, digest: digestIn(last) };
  }
  if (beforeLast === 'tags' && last === 'list') {
    return { kind: 'tags', repository: nameIn(path, 2) };
  }
  if (beforeLast === 'referrers') {
    const repository = nameIn(path, 2);
    return { kind: 'referrers', repository, digest: digestIn(last) };
  }
  throw noSuchEndpoint();
}

/** @throws SpecFailure */
export function digestIn(value: string): string {
  if (isDigest(value)) return value;
  throw new SpecFailure('DIGEST_INVALID', 'neither a sha256 nor a sha512 digest');
}

function nameIn(path: readonly string[], suffix: number): string {
  const name = path.slice(0, -suffix).join('/');
  if (isRepository(name)) return name;
  throw new SpecFailure('NAME_INVALID', 'not a repository name');
}

function referenceIn(value: string): string {
  if (isDigest(value) || isTag(value)) return value;
  throw value.includes(':')
    ? new SpecFailure('DIGEST_INVALID', 'neither a sha256 nor a sha512 digest')
    : new SpecFailure('MANIFEST_INVALID', 'not a tag');
}

function uploadIdIn(value: string): string {
  if (uploadId.test(value)) return value;
  throw new SpecFailure('BLOB_UPLOAD_UNKNOWN', 'no such upload');
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw noSuchEndpoint();
  }
}

function noSuchEndpoint(): SpecFailure {
  return new SpecFailure('UNSUPPORTED', 'no such endpoint', { status: 404 });
}
