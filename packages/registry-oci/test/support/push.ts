import { mediaTypes } from '@cygni/core';
import { type Image, sha256 } from './image.ts';

export interface PushTarget {
  /** `http://host/v2/…` */
  url(path: string): string;
  readonly authorization?: string;
}

function headersFor({ authorization }: PushTarget): Record<string, string> {
  return authorization === undefined ? {} : { authorization };
}

/** Pushes with nothing but fetch, so that a mistake of our client cannot hide one of our server. */
export async function pushBlob(
  registry: PushTarget,
  repository: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Response> {
  return fetch(registry.url(`${repository}/blobs/uploads/?digest=${sha256(bytes)}`), {
    method: 'POST',
    headers: headersFor(registry),
    body: bytes,
  });
}

export async function pushManifest(
  registry: PushTarget,
  repository: string,
  reference: string,
  bytes: Uint8Array<ArrayBuffer>,
  mediaType: string = mediaTypes.ociManifest,
): Promise<Response> {
  return fetch(registry.url(`${repository}/manifests/${reference}`), {
    method: 'PUT',
    headers: { ...headersFor(registry), 'content-type': mediaType },
    body: bytes,
  });
}

export async function pushImage(
  registry: PushTarget,
  repository: string,
  reference: string,
  image: Image,
): Promise<Response> {
  await pushBlob(registry, repository, image.config);
  await pushBlob(registry, repository, image.layer);
  return pushManifest(registry, repository, reference, image.manifest);
}

/** The code of a spec error body. */
export async function codeOf(response: Response): Promise<string> {
  const body: unknown = await response.json();
  const errors: unknown = typeof body === 'object' && body !== null && Reflect.get(body, 'errors');
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  return typeof first === 'object' && first !== null ? String(Reflect.get(first, 'code')) : '';
}
