import {
  CreateRepositoryCommand,
  DescribeRepositoriesCommand,
  GetLifecyclePolicyCommand,
  GetRepositoryPolicyCommand,
  PutLifecyclePolicyCommand,
  SetRepositoryPolicyCommand,
} from '@aws-sdk/client-ecr';
import { type Call, isCygniError } from '@cygni/core';
import type { EcrApi } from './ecr-api.ts';
import type { EcrRegistrySettings } from './options.ts';

export type EnsureRepository = (repository: string, call: Call) => Promise<void>;

type Defaults = EcrRegistrySettings['repositories'];

const maximumRemembered = 10_000;

/** Looks before it creates: the credentials may be allowed to look only, where repositories are made by others. */
export function createEnsureRepository(api: EcrApi, defaults: Defaults): EnsureRepository {
  /** Repositories whose policies were seen to. A crash right after the creation leaves them to the next process. */
  const settled = new Set<string>();

  return async (repository, call) => {
    const created = !(await exists(api, repository, call));
    if (created) await create(api, defaults, repository, call);
    else if (settled.has(repository)) return;
    await settle(api, defaults, repository, call);
    if (settled.size >= maximumRemembered) settled.clear();
    settled.add(repository);
  };
}

async function exists(api: EcrApi, repository: string, call: Call): Promise<boolean> {
  const { registryId } = api;
  const command = new DescribeRepositoriesCommand({ registryId, repositoryNames: [repository] });
  return isThere(
    api.retry(`repository ${repository}`, call, () =>
      api.client.send(command, { abortSignal: call.signal }),
    ),
  );
}

async function create(
  { client, retry, registryId }: EcrApi,
  { tags, scanOnPush, encryption, resourceTags }: Defaults,
  repository: string,
  call: Call,
): Promise<void> {
  const command = new CreateRepositoryCommand({
    registryId,
    repositoryName: repository,
    ...(tags && { imageTagMutability: tags === 'immutable' ? 'IMMUTABLE' : 'MUTABLE' }),
    ...(scanOnPush !== undefined && { imageScanningConfiguration: { scanOnPush } }),
    ...(encryption && {
      encryptionConfiguration: { encryptionType: encryption.type, kmsKey: encryption.keyId },
    }),
    ...(resourceTags && {
      tags: Object.entries(resourceTags).map(([Key, Value]) => ({ Key, Value })),
    }),
  });
  try {
    await retry(`creation of repository ${repository}`, call, () =>
      client.send(command, { abortSignal: call.signal }),
    );
  } catch (error) {
    // Another call was quicker, or the answer to an earlier try was lost.
    if (!isCygniError(error, 'conflict')) throw error;
  }
}

/** Gives the repository the policies that it has none of. */
async function settle(
  { client, retry, registryId }: EcrApi,
  { lifecyclePolicy, policy }: Defaults,
  repositoryName: string,
  call: Call,
): Promise<void> {
  const target = { registryId, repositoryName };
  const options = { abortSignal: call.signal };
  if (lifecyclePolicy) {
    const what = `lifecycle policy of ${repositoryName}`;
    const read = new GetLifecyclePolicyCommand(target);
    if (!(await isThere(retry(what, call, () => client.send(read, options))))) {
      const lifecyclePolicyText = JSON.stringify(lifecyclePolicy);
      const write = new PutLifecyclePolicyCommand({ ...target, lifecyclePolicyText });
      await retry(what, call, () => client.send(write, options));
    }
  }
  if (policy) {
    const what = `policy of ${repositoryName}`;
    const read = new GetRepositoryPolicyCommand(target);
    if (!(await isThere(retry(what, call, () => client.send(read, options))))) {
      const policyText = JSON.stringify(policy);
      const write = new SetRepositoryPolicyCommand({ ...target, policyText });
      await retry(what, call, () => client.send(write, options));
    }
  }
}

async function isThere(read: Promise<unknown>): Promise<boolean> {
  try {
    await read;
    return true;
  } catch (error) {
    if (isCygniError(error, 'not_found')) return false;
    throw error;
  }
}
