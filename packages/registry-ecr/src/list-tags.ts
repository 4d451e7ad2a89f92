import { ListImagesCommand } from '@aws-sdk/client-ecr';
import { type Call, CygniError } from '@cygni/core';
import type { EcrApi } from './ecr-api.ts';

/** ECR's own limit for one answer. */
const pageSize = 1_000;

/**
 * ECR lists in no order that it promises, so every page is read; of the tags no more are held
 * than are asked for, and as many again as two pages.
 */
export async function listTags(
  { client, retry, registryId }: EcrApi,
  repository: string,
  { after, limit }: { readonly after?: string; readonly limit: number },
  call: Call,
): Promise<readonly string[]> {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new CygniError('invalid_input', 'the limit is a positive integer');
  }
  let first = new Set<string>();
  const smallest = () => [...first].sort().slice(0, limit);
  let nextToken: string | undefined;
  do {
    const command = new ListImagesCommand({
      registryId,
      repositoryName: repository,
      filter: { tagStatus: 'TAGGED' },
      maxResults: pageSize,
      ...(nextToken === undefined ? {} : { nextToken }),
    });
    const page = await retry(`tags of ${repository}`, call, () =>
      client.send(command, { abortSignal: call.signal }),
    );
    for (const { imageTag } of page.imageIds ?? []) {
      if (imageTag !== undefined && (after === undefined || imageTag > after)) first.add(imageTag);
    }
    if (first.size > limit + pageSize) first = new Set(smallest());
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return smallest();
}
