import { registryConformance } from '@cygni/core/conformance';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { motoIsMissing } from '../../artifacts-s3/test/support/moto.ts';
import {
  type EcrBackend,
  startEcrBackend,
  startEcrFake,
} from './support/ecr-fake/start-ecr-fake.ts';
import { registryOn } from './support/registry.ts';

describe.skipIf(motoIsMissing)('on a fake of ECR, over moto', () => {
  let backend: EcrBackend;
  beforeAll(async () => {
    backend = await startEcrBackend();
  });
  afterAll(() => backend?.[Symbol.asyncDispose]());

  for (const tags of ['mutable', 'immutable'] as const) {
    describe(`with ${tags} tags`, () => {
      registryConformance(
        { describe, it, expect, beforeEach, afterEach },
        {
          tags,
          credentials: 'account',
          async create() {
            const fake = await startEcrFake(backend, { pageSize: 3 });
            const { registry, images, ...own } = registryOn(fake, { repositories: { tags } });
            return {
              registry,
              images,
              prefix: 'acme',
              elapse: async (seconds) => fake.elapse(seconds),
              async stop() {
                await fake[Symbol.asyncDispose]();
              },
              async dispose() {
                await own[Symbol.asyncDispose]();
                await fake[Symbol.asyncDispose]();
              },
            };
          },
        },
      );
    });
  }
});
