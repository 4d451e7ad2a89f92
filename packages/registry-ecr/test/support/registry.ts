import { createEcrRegistry, type EcrRegistryOptions } from '@cygni/registry-ecr';
import { createImageClient } from '@cygni/registry-oci';
import type { EcrFake } from './ecr-fake/start-ecr-fake.ts';

export const quick = { retries: 3, firstDelayMs: 1, longestDelayMs: 10 };
export const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

/** A registry on the fake, and the client that carries content to and from it. */
export function registryOn(fake: EcrFake, options: Partial<EcrRegistryOptions> = {}) {
  const images = createImageClient({ retry: quick });
  const registry = createEcrRegistry({
    host: fake.host,
    registryId: '123456789012',
    region: 'us-east-1',
    endpoint: fake.endpoint,
    insecure: true,
    credentials,
    retry: quick,
    clock: { now: () => new Date(fake.now()) },
    ...options,
  });
  return {
    images,
    registry,
    async [Symbol.asyncDispose]() {
      await registry.close();
      await images.close();
    },
  };
}
