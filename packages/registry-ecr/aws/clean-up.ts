import { randomUUID } from 'node:crypto';
import type { TestProject } from 'vitest/node';
import { createEcrApi } from '../src/ecr-api.ts';
import { resolveOptions } from '../src/options.ts';
import { readAccount, registryOnAws } from './account.ts';
import { deleteRepositories } from './delete-repositories.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the repositories of this run. */
    prefix: string;
  }
}

/** Finds out that AWS is there before any test does, and deletes every repository of this run after the last one. */
export default async function cleanUp(
  project: Pick<TestProject, 'provide'>,
): Promise<() => Promise<void>> {
  const { options, prefix } = readAccount();
  const own = `${prefix}/${randomUUID().slice(0, 8)}`;
  project.provide('prefix', own);
  const { registry, ...both } = registryOnAws();
  const call = { signal: AbortSignal.timeout(60_000), log: console };
  await registry.open(call);
  await both[Symbol.asyncDispose]();

  return async () => {
    const api = createEcrApi(resolveOptions(options));
    const deleted = await deleteRepositories(api, own);
    api.client.destroy();
    process.stderr.write(`deleted the ${deleted} repositories below ${own}/\n`);
  };
}
