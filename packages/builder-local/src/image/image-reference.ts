import type { BuildJob, RepositoryLocation } from '@cygni/core';
import { userError } from '../build-fault.ts';

export interface ImageReference {
  readonly host: string;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
}

const repository =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const host = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?$/;

/** `alpine`, `ghcr.io/acme/app:1`, `localhost:5000/app@sha256:…`, as Docker reads them. @throws BuildFault */
export function parseImageReference(text: string): ImageReference {
  const fail = () => userError(`${JSON.stringify(text.slice(0, 300))} is not an image reference`);
  if (text.length > 512) throw fail();
  const [nameAndTag = '', digest, ...more] = text.split('@');
  if (more.length > 0) throw fail();
  const slash = nameAndTag.indexOf('/');
  const first = nameAndTag.slice(0, Math.max(slash, 0));
  const hasHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const path = hasHost ? nameAndTag.slice(slash + 1) : nameAndTag;
  const colon = path.indexOf(':');
  const name = colon < 0 ? path : path.slice(0, colon);
  const tag = colon < 0 ? undefined : path.slice(colon + 1);
  const found = {
    host: hasHost ? first : 'docker.io',
    repository: !hasHost && !name.includes('/') ? `library/${name}` : name,
    reference: digest ?? tag ?? 'latest',
  };
  const isTag = tag === undefined || /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/.test(tag);
  const isDigest = digest === undefined || /^sha256:[0-9a-f]{64}$/.test(digest);
  if (!host.test(found.host) || !repository.test(found.repository) || !isTag || !isDigest) {
    throw fail();
  }
  return found;
}

/**
 * How to read a base image. The destination's credentials are used only for what is the tenant's own:
 * where they open a whole account, a FROM must not reach another tenant's images with them.
 */
export function locate(image: ImageReference, job: BuildJob): RepositoryLocation {
  const { destination, tenantId } = job;
  const { host, repository } = image;
  if (host !== destination.host) return { host, repository, insecure: false };
  const { insecure, credentials } = destination;
  const isOwn = repository.startsWith(`${tenantId}/`);
  return credentials && isOwn
    ? { host, repository, insecure, credentials }
    : { host, repository, insecure };
}
