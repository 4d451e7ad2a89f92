import { registryConformance } from '@cygni/core/conformance';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { ecrFacts } from '../test/support/ecr-facts.ts';
import { registryOnAws } from './account.ts';

const prefix = inject('prefix');

/** What needs a clock, or an end, of AWS. */
const impossible: ReadonlySet<string> = new Set([
  'are renewed before they stop working',
  'says that the server does not answer, and that asking later may help',
]);
const functions = {
  describe,
  expect,
  beforeEach,
  afterEach,
  it: (name: string, run: () => Promise<void>) =>
    impossible.has(name) ? it.skip(name) : it(name, run),
};
const never = async (): Promise<never> => {
  throw new Error('AWS does not do that for a test');
};

for (const tags of ['mutable', 'immutable'] as const) {
  describe(`on AWS, with ${tags} tags`, () => {
    registryConformance(functions, {
      tags,
      credentials: 'account',
      async create() {
        const { registry, images, ...both } = registryOnAws({ tags });
        return {
          registry,
          images,
          prefix,
          elapse: never,
          stop: never,
          dispose: both[Symbol.asyncDispose],
        };
      },
    });
  });
}

describe('on AWS', () => {
  ecrFacts(async () => {
    const [own, other] = [registryOnAws({ tags: 'mutable' }), registryOnAws({ tags: 'immutable' })];
    return {
      registry: own.registry,
      immutable: other.registry,
      images: own.images,
      prefix,
      async [Symbol.asyncDispose]() {
        await own[Symbol.asyncDispose]();
        await other[Symbol.asyncDispose]();
      },
    };
  });
});
