import {
  type Call,
  CygniError,
  type Descriptor,
  imageIndexSchema,
  isCygniError,
  mediaTypes,
  type RepositoryLocation,
  type Retry,
} from '@cygni/core';
import { assertDigest } from '../reference.ts';
import { endpointOf } from './endpoint.ts';
import { headerOf, readBody } from './exchange.ts';
import { nextLink } from './list-tags.ts';
import { getManifest } from './manifests.ts';
import { withoutMirrors } from './mirrors.ts';
import { isResponseFailure } from './response-failure.ts';
import { pullScope } from './scopes.ts';
import { resolveUrl, type Send } from './send.ts';

const maximumPageBytes = 4 * 1024 * 1024;
const maximumPages = 100;

/**
 * Manifests whose subject is `digest`, of one artifact type or of all: by the referrers API, or by the
 * tag that stands in for it where a registry has none (distribution-spec 1.1, referrers tag schema).
 */
export async function listReferrers(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  digest: string,
  artifactType: string | undefined,
  call: Call,
): Promise<readonly Descriptor[]> {
  assertDigest(digest);
  const all =
    (await byApi(send, retry, location, digest, artifactType, call)) ??
    (await byTag(send, retry, location, digest, call));
  // A registry may ignore the filter.
  return artifactType === undefined
    ? all
    : all.filter((each) => each.artifactType === artifactType);
}

/** The tag under which an index lists the referrers of `digest`. */
export function referrersTag(digest: string): string {
  return digest.replace(':', '-');
}

/** Undefined where the registry has no such API. */
async function byApi(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  digest: string,
  artifactType: string | undefined,
  call: Call,
): Promise<readonly Descriptor[] | undefined> {
  const { origin, repository } = endpointOf(location);
  const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`;
  const what = `referrers of ${location.host}/${location.repository}@${digest}`;
  const found: Descriptor[] = [];
  let target: URL | undefined = new URL(`v2/${repository}/referrers/${digest}${query}`, origin);
  for (let pages = 0; target !== undefined && pages < maximumPages; pages += 1) {
    const url: URL = target;
    const page = await retry(what, call, async () => {
      try {
        const response = await send(
          { location, method: 'GET', target: url, scopes: [pullScope(repository)], expect: [200] },
          call,
        );
        const next = nextLink(headerOf(response, 'link'));
        const bytes = await readBody(response, maximumPageBytes);
        return { bytes, next: next === undefined ? undefined : resolveUrl(next, url, location) };
      } catch (error) {
        if (isResponseFailure(error, 404) || isResponseFailure(error, 405)) return undefined;
        throw error;
      }
    });
    if (!page) return undefined;
    found.push(...manifestsIn(page.bytes, what));
    target = page.next;
  }
  return found;
}

async function byTag(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  digest: string,
  call: Call,
): Promise<readonly Descriptor[]> {
  try {
    const index = await getManifest(
      send,
      withoutMirrors(retry),
      location,
      referrersTag(digest),
      call,
    );
    if (index.mediaType !== mediaTypes.ociIndex) return [];
    return manifestsIn(index.bytes, `referrers of ${digest}`);
  } catch (error) {
    if (isCygniError(error, 'not_found')) return [];
    throw error;
  }
}

function manifestsIn(bytes: Uint8Array, what: string): readonly Descriptor[] {
  try {
    return imageIndexSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8'))).manifests;
  } catch (cause) {
    throw new CygniError('integrity', `${what} are not an image index`, { cause });
  }
}
