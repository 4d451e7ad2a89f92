import { DeleteRepositoryCommand, paginateDescribeRepositories } from '@aws-sdk/client-ecr';
import type { EcrApi } from '../src/ecr-api.ts';

/** Deletes every repository below `prefix/`, with its images, and no other. Returns how many there were. */
export async function deleteRepositories(
  { client, registryId }: Pick<EcrApi, 'client' | 'registryId'>,
  prefix: string,
): Promise<number> {
  let deleted = 0;
  for await (const { repositories = [] } of paginateDescribeRepositories(
    { client },
    { registryId },
  )) {
    for (const { repositoryName = '' } of repositories) {
      if (!repositoryName.startsWith(`${prefix}/`)) continue;
      await client.send(new DeleteRepositoryCommand({ registryId, repositoryName, force: true }));
      deleted += 1;
    }
  }
  return deleted;
}
