import { createHash } from 'node:crypto';
import {
  BatchDeleteImageCommand,
  BatchGetImageCommand,
  PutImageCommand,
} from '@aws-sdk/client-ecr';
import { type Call, CygniError, isCygniError, type Manifest, mediaTypes } from '@cygni/core';
import type { EcrApi } from './ecr-api.ts';
import { mapFailure } from './map-error.ts';
import { isDigest } from './names.ts';

// ECR may turn a manifest into another form for who does not know its own.
const acceptedMediaTypes = [
  mediaTypes.ociManifest,
  mediaTypes.ociIndex,
  mediaTypes.dockerManifest,
  mediaTypes.dockerManifestList,
];

/** @param reference a tag or a digest */
export async function getManifest(
  { client, retry, registryId }: EcrApi,
  repository: string,
  reference: string,
  call: Call,
): Promise<Manifest> {
  const digested = isDigest(reference);
  const what = `manifest ${repository}${digested ? '@' : ':'}${reference}`;
  const command = new BatchGetImageCommand({
    registryId,
    repositoryName: repository,
    imageIds: [digested ? { imageDigest: reference } : { imageTag: reference }],
    acceptedMediaTypes,
  });
  const image = await retry(what, call, async () => {
    const { images, failures } = await client.send(command, { abortSignal: call.signal });
    if (images?.[0]) return images[0];
    throw mapFailure(failures?.[0] ?? {}, what);
  });
  const bytes = Buffer.from(image.imageManifest ?? '', 'utf8');
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const stated = digested ? reference : image.imageId?.imageDigest;
  if (stated !== digest) throw new CygniError('integrity', `${what} is really ${digest}`);
  const mediaType = image.imageManifestMediaType ?? 'application/octet-stream';
  return { mediaType, digest, bytes };
}

/** @throws `not_found`; `conflict` if the tag is immutable and names another image */
export async function tagImage(
  api: EcrApi,
  repository: string,
  digest: string,
  tag: string,
  call: Call,
): Promise<void> {
  const { mediaType, bytes } = await getManifest(api, repository, digest, call);
  const command = new PutImageCommand({
    registryId: api.registryId,
    repositoryName: repository,
    imageManifest: Buffer.from(bytes).toString('utf8'),
    imageManifestMediaType: mediaType,
    imageTag: tag,
    imageDigest: digest,
  });
  try {
    await api.retry(`tag ${repository}:${tag}`, call, () =>
      api.client.send(command, { abortSignal: call.signal }),
    );
  } catch (error) {
    // ECR refuses a tag that the image has already, as it does one that another has.
    if (!isCygniError(error, 'conflict')) throw error;
    const present = await getManifest(api, repository, tag, call);
    if (present.digest !== digest) throw error;
  }
}

/** Deletes the image with its tags. What is not there is deleted. */
export async function deleteImage(
  { client, retry, registryId }: EcrApi,
  repository: string,
  digest: string,
  call: Call,
): Promise<void> {
  const what = `deletion of ${repository}@${digest}`;
  const command = new BatchDeleteImageCommand({
    registryId,
    repositoryName: repository,
    imageIds: [{ imageDigest: digest }],
  });
  try {
    await retry(what, call, async () => {
      const { failures } = await client.send(command, { abortSignal: call.signal });
      if (failures?.[0]) throw mapFailure(failures[0], what);
    });
  } catch (error) {
    if (!isCygniError(error, 'not_found')) throw error;
  }
}
