import { createHash } from 'node:crypto';
import {
  type Call,
  CygniError,
  type Manifest,
  mediaTypes,
  type RepositoryLocation,
  type Retry,
} from '@cygni/core';
import { z } from 'zod';
import { assertDigest, assertReference, isDigest } from '../reference.ts';
import { endpointOf } from './endpoint.ts';
import { discard, headerOf, readBody } from './exchange.ts';
import type { Pulls } from './mirrors.ts';
import { isResponseFailure } from './response-failure.ts';
import { deleteScope, pullScope, pushScope } from './scopes.ts';
import type { Send } from './send.ts';

/** What registries may refuse above, by the distribution spec. */
const maximumManifestBytes = 4 * 1024 * 1024;
const accept = [
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
  mediaTypes.dockerManifest,
  mediaTypes.dockerManifestList,
].join(', ');
const typedSchema = z.looseObject({ mediaType: z.string().optional() });

export async function getManifest(
  send: Send,
  read: Pulls['read'],
  location: RepositoryLocation,
  reference: string,
  call: Call,
): Promise<Manifest> {
  assertReference(reference);
  const what = `manifest ${nameOf(location, reference)}`;
  return await read(what, location, call, async (source) => {
    const { repository } = endpointOf(source);
    const response = await send(
      {
        location: source,
        method: 'GET',
        target: `manifests/${reference}`,
        headers: { accept },
        scopes: [pullScope(repository)],
        expect: [200],
      },
      call,
    );
    const bytes = await readBody(response, maximumManifestBytes);
    const digest = digestOf(bytes);
    const stated = headerOf(response, 'docker-content-digest');
    const wanted = isDigest(reference) ? reference : stated;
    if (wanted !== undefined && isDigest(wanted) && wanted !== digest) {
      throw new CygniError('integrity', `${what} is really ${digest}`);
    }
    return { mediaType: mediaTypeOf(bytes, headerOf(response, 'content-type')), digest, bytes };
  });
}

export interface StoredManifest {
  readonly digest: string;
  /** Whether the registry said that it lists the manifest among the referrers of its subject. */
  readonly listed: boolean;
}

export async function putManifest(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  reference: string,
  manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
  call: Call,
): Promise<StoredManifest> {
  assertReference(reference);
  const digest = digestOf(manifest.bytes);
  if (isDigest(reference) && reference !== digest) {
    throw new CygniError('integrity', `the manifest's digest is ${digest}, not ${reference}`);
  }
  const { repository } = endpointOf(location);
  return await retry(`push of manifest ${nameOf(location, reference)}`, call, async () => {
    const response = await send(
      {
        location,
        method: 'PUT',
        target: `manifests/${reference}`,
        headers: { 'content-type': manifest.mediaType },
        body: manifest.bytes,
        scopes: [pushScope(repository)],
        expect: [200, 201],
      },
      call,
    );
    await discard(response);
    const stored = headerOf(response, 'docker-content-digest');
    if (stored !== undefined && isDigest(stored) && stored !== digest) {
      throw new CygniError('integrity', `the registry stored manifest ${digest} as ${stored}`);
    }
    return { digest, listed: headerOf(response, 'oci-subject') !== undefined };
  });
}

/** Deleting what is not there succeeds. */
export async function deleteManifest(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  digest: string,
  call: Call,
): Promise<void> {
  assertDigest(digest);
  const { repository } = endpointOf(location);
  await retry(`deletion of ${nameOf(location, digest)}`, call, async () => {
    try {
      const response = await send(
        {
          location,
          method: 'DELETE',
          target: `manifests/${digest}`,
          scopes: [deleteScope(repository)],
          expect: [200, 202, 204],
        },
        call,
      );
      await discard(response);
    } catch (error) {
      if (!isResponseFailure(error, 404)) throw error;
    }
  });
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function nameOf(location: RepositoryLocation, reference: string): string {
  return `${location.host}/${location.repository}${isDigest(reference) ? '@' : ':'}${reference}`;
}

function mediaTypeOf(bytes: Uint8Array, header: string | undefined): string {
  const stated = header?.split(';')[0]?.trim();
  if (stated !== undefined && accept.includes(stated) && stated !== '') return stated;
  try {
    const body = typedSchema.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    if (body.data?.mediaType !== undefined) return body.data.mediaType;
  } catch {
    // Not JSON: then what the header says is all there is.
  }
  return stated ?? 'application/octet-stream';
}
