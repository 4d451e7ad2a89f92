import { z } from 'zod';
import type { ApiAnswer, ImageId, MotoImages } from './moto-images.ts';
import { createPutImage, refusal } from './put-image.ts';
import type { Tokens } from './tokens.ts';

const putImageSchema = z.object({
  repositoryName: z.string(),
  imageManifest: z.string(),
  imageManifestMediaType: z.string(),
  imageTag: z.string().optional(),
  imageDigest: z.string().optional(),
});
const listImagesSchema = z.object({
  repositoryName: z.string(),
  filter: z.object({ tagStatus: z.string().default('ANY') }).prefault({}),
  maxResults: z.int().min(1).max(1000).default(100),
  nextToken: z.string().optional(),
});
const deletionSchema = z.object({
  repositoryName: z.string(),
  imageIds: z.array(
    z.object({ imageDigest: z.string().optional(), imageTag: z.string().optional() }),
  ),
});
const indexSchema = z.object({ manifests: z.array(z.object({ digest: z.string() })) });

/**
 * The API: moto's, but for what moto does otherwise than AWS.
 * @param host where the registry is
 * @param content where the registry behind keeps layers
 */
export function createControlPlane(
  moto: MotoImages,
  tokens: Tokens,
  host: string,
  content: string,
  pageSize: number,
) {
  const putImage = createPutImage(moto, content);

  async function answer(operation: string, input: object): Promise<ApiAnswer> {
    switch (operation) {
      case 'GetAuthorizationToken': {
        const { token, expiresAt } = tokens.issue();
        const data = {
          authorizationToken: Buffer.from(`AWS:${token}`).toString('base64'),
          expiresAt: expiresAt / 1000,
          proxyEndpoint: `http://${host}`,
        };
        return { status: 200, body: { authorizationData: [data] } };
      }
      case 'PutImage':
        return putImage(putImageSchema.parse(input));
      case 'ListImages':
        return listImages(listImagesSchema.parse(input));
      case 'BatchDeleteImage':
        return deleteImages(deletionSchema.parse(input));
      default:
        return moto.call(operation, input);
    }
  }

  /** In pages, which moto has not, and in an order that is of no use, as AWS promises none. */
  async function listImages(request: z.output<typeof listImagesSchema>): Promise<ApiAnswer> {
    const { repositoryName, filter, nextToken } = request;
    if ((await moto.mutabilityOf(repositoryName)) === undefined) {
      return moto.call('ListImages', { repositoryName });
    }
    const all = (await moto.list(repositoryName)).filter(
      ({ imageTag }) => filter.tagStatus !== 'TAGGED' || imageTag !== null,
    );
    const ids = all.toSorted((one, other) => reversed(one).localeCompare(reversed(other)));
    const start = Number(nextToken ?? 0);
    const end = start + Math.min(request.maxResults, pageSize);
    const imageIds = ids
      .slice(start, end)
      .map(({ imageDigest, imageTag }) => ({ imageDigest, ...(imageTag && { imageTag }) }));
    return {
      status: 200,
      body: { imageIds, ...(end < ids.length && { nextToken: String(end) }) },
    };
  }

  /** Refuses an image that an index names, which moto deletes. */
  async function deleteImages(request: z.output<typeof deletionSchema>): Promise<ApiAnswer> {
    const { repositoryName, imageIds } = request;
    if ((await moto.mutabilityOf(repositoryName)) === undefined) {
      return refusal('RepositoryNotFoundException', repositoryName);
    }
    const digests = new Set((await moto.list(repositoryName)).map((each) => each.imageDigest));
    const ids = [...digests].map((imageDigest) => ({ imageDigest }));
    const named = new Set(
      (await moto.find(repositoryName, ids)).flatMap(({ manifest }) =>
        (indexSchema.safeParse(JSON.parse(manifest)).data?.manifests ?? []).map(
          ({ digest }) => digest,
        ),
      ),
    );
    const refused = imageIds.filter(({ imageDigest = '' }) => named.has(imageDigest));
    if (refused.length === 0) return moto.call('BatchDeleteImage', request);
    const failures = refused.map((imageId) => ({
      imageId,
      failureCode: 'ImageReferencedByManifestList',
      failureReason: 'Requested image referenced by manifest list',
    }));
    return { status: 200, body: { imageIds: [], failures } };
  }

  return { answer, putImage };
}

export type ControlPlane = ReturnType<typeof createControlPlane>;

function reversed({ imageTag, imageDigest }: ImageId): string {
  return [...(imageTag ?? ''), imageDigest].reverse().join('');
}
