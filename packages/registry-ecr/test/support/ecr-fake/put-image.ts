import { createHash } from 'node:crypto';
import type { ApiAnswer, MotoImages } from './moto-images.ts';

export interface PutImage {
  readonly repositoryName: string;
  readonly imageManifest: string;
  readonly imageManifestMediaType: string;
  readonly imageTag?: string | undefined;
  readonly imageDigest?: string | undefined;
}

/**
 * PutImage as AWS has it, over moto's, which hashes layers instead of manifests, takes an index for whatever
 * digest, names the error of an immutable tag wrongly and deletes the image that a tag leaves.
 * @param content where the registry behind keeps layers: `http://127.0.0.1:1`
 */
export function createPutImage(moto: MotoImages, content: string) {
  const running = new Map<string, Promise<unknown>>();

  async function put(request: PutImage): Promise<ApiAnswer> {
    const { repositoryName, imageManifest, imageManifestMediaType, imageTag } = request;
    const mutability = await moto.mutabilityOf(repositoryName);
    if (mutability === undefined) return refusal('RepositoryNotFoundException', repositoryName);
    const digest = `sha256:${createHash('sha256').update(imageManifest).digest('hex')}`;
    if (request.imageDigest !== undefined && request.imageDigest !== digest) {
      return refusal('ImageDigestDoesNotMatchException', digest);
    }
    const stored = await fetch(`${content}/v2/${repositoryName}/manifests/${digest}`, {
      method: 'PUT',
      headers: { 'content-type': imageManifestMediaType },
      body: imageManifest,
    });
    if (!stored.ok) return refusal('LayersNotFoundException', await stored.text());

    const image = { repositoryName, imageManifest, imageManifestMediaType, imageDigest: digest };
    const present = await moto.get(repositoryName, digest);
    if (imageTag === undefined) {
      if (present) return refusal('ImageAlreadyExistsException', digest);
      return moto.call('PutImage', image);
    }
    const previous = await moto.get(repositoryName, imageTag);
    const answer = await moto.call('PutImage', { ...image, imageTag });
    if (answer.status !== 200) {
      return mutability === 'IMMUTABLE' && previous
        ? refusal(
            'ImageTagAlreadyExistsException',
            `The image tag '${imageTag}' already exists in the '${repositoryName}' repository and cannot be overwritten because the tag is immutable.`,
          )
        : answer;
    }
    if (previous && !(await moto.get(repositoryName, previous.digest))) {
      await moto.call('PutImage', {
        repositoryName,
        imageManifest: previous.manifest,
        imageManifestMediaType: previous.mediaType,
        imageDigest: previous.digest,
      });
    }
    return answer;
  }

  /** One at a time in a repository, for moto has to be asked several times. */
  return (request: PutImage): Promise<ApiAnswer> => {
    const before = running.get(request.repositoryName) ?? Promise.resolve();
    const mine = before.then(() => put(request));
    running.set(
      request.repositoryName,
      mine.catch(() => undefined),
    );
    return mine;
  };
}

export function refusal(name: string, message: string, status = 400): ApiAnswer {
  return { status, body: { __type: name, message } };
}
