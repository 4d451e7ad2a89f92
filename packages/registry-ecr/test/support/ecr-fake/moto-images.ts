import { z } from 'zod';

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface StoredImage {
  readonly digest: string;
  readonly mediaType: string;
  readonly manifest: string;
}

const imagesSchema = z.object({
  images: z.array(
    z.object({
      imageId: z.object({ imageDigest: z.string() }),
      imageManifest: z.string(),
      imageManifestMediaType: z.string().default(''),
    }),
  ),
});
const repositoriesSchema = z.object({
  repositories: z.array(z.object({ imageTagMutability: z.string() })).min(1),
});
const idsSchema = z.object({
  imageIds: z.array(
    z.object({ imageDigest: z.string(), imageTag: z.string().nullish().default(null) }),
  ),
});

export type ImageId = z.output<typeof idsSchema>['imageIds'][number];

/** The region and the account are in the signature's scope; moto does not look at the rest. */
const authorization =
  'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature=0';

/** Asks moto, as the API does. */
export function createMotoImages(endpoint: string) {
  async function call(operation: string, body: object): Promise<ApiAnswer> {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        authorization,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `AmazonEC2ContainerRegistry_V20150921.${operation}`,
      },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  async function find(
    repositoryName: string,
    ids: readonly object[],
  ): Promise<readonly StoredImage[]> {
    if (ids.length === 0) return [];
    const { body } = await call('BatchGetImage', { repositoryName, imageIds: ids });
    const parsed = imagesSchema.safeParse(body);
    return (parsed.data?.images ?? []).map((image) => ({
      digest: image.imageId.imageDigest,
      mediaType: image.imageManifestMediaType,
      manifest: image.imageManifest,
    }));
  }

  return {
    call,
    /** `MUTABLE` or `IMMUTABLE`; undefined if the repository does not exist. */
    async mutabilityOf(repositoryName: string): Promise<string | undefined> {
      const { body } = await call('DescribeRepositories', { repositoryNames: [repositoryName] });
      return repositoriesSchema.safeParse(body).data?.repositories[0]?.imageTagMutability;
    },
    async get(repositoryName: string, reference: string): Promise<StoredImage | undefined> {
      const id = reference.includes(':') ? { imageDigest: reference } : { imageTag: reference };
      return (await find(repositoryName, [id]))[0];
    },
    async list(repositoryName: string): Promise<readonly ImageId[]> {
      const { body } = await call('ListImages', { repositoryName });
      return idsSchema.safeParse(body).data?.imageIds ?? [];
    },
    find,
  };
}

export type MotoImages = ReturnType<typeof createMotoImages>;
