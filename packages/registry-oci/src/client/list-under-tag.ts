import {
  type Call,
  type Descriptor,
  imageIndexSchema,
  imageManifestSchema,
  mediaTypes,
  type RepositoryLocation,
  type Retry,
} from '@cygni/core';
import { z } from 'zod';
import { putManifest } from './manifests.ts';
import { listReferrers, referrersTag } from './referrers.ts';
import type { Send } from './send.ts';

const subjectSchema = z.object({ subject: z.looseObject({ digest: z.string() }).optional() });

/**
 * After a manifest with a subject went to a registry that did not say that it had taken note of it:
 * lists it under the tag that stands in for the referrers API. Two clients that do so at once may lose
 * one of the entries; the spec knows no way around.
 */
export async function listUnderTag(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  pushed: { readonly mediaType: string; readonly digest: string; readonly bytes: Uint8Array },
  subject: string,
  call: Call,
): Promise<void> {
  const before = await listReferrers(send, retry, location, subject, undefined, call);
  if (before.some(({ digest }) => digest === pushed.digest)) return;
  const manifests = [...before, descriptorOf(pushed)];
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  const bytes = Buffer.from(JSON.stringify(index));
  const manifest = { mediaType: mediaTypes.ociIndex, bytes };
  await putManifest(send, retry, location, referrersTag(subject), manifest, call);
}

/** The digest that a manifest names as its subject; undefined for what is none, or names none. */
export function subjectOf(bytes: Uint8Array): string | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return subjectSchema.safeParse(value).data?.subject?.digest;
  } catch {
    return undefined;
  }
}

function descriptorOf(pushed: {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}): Descriptor {
  const value: unknown = JSON.parse(Buffer.from(pushed.bytes).toString('utf8'));
  const image = imageManifestSchema.safeParse(value).data;
  const content = image ?? imageIndexSchema.safeParse(value).data;
  const artifactType = content?.artifactType ?? image?.config.mediaType;
  return {
    mediaType: pushed.mediaType,
    digest: pushed.digest,
    size: pushed.bytes.byteLength,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(content?.annotations && { annotations: content.annotations }),
  };
}
