import { afterAll, beforeAll } from 'vitest';
import type { Files } from './archive.ts';
import {
  build,
  type Finished,
  type JobOptions,
  jobOf,
  openPipeline,
  type TestPipeline,
  tagImage,
} from './build.ts';
import { type PulledImage, pullImage } from './pulled-image.ts';
import { startRegistry, type TestRegistry } from './registry.ts';

/** A registry and an assembler for all tests of a file. */
export function useAssembler() {
  let registry: TestRegistry;
  let local: TestPipeline;
  beforeAll(async () => {
    registry = await startRegistry();
    local = await openPipeline({ engine: 'assemble', images: registry.images });
  });
  afterAll(async () => {
    await local[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  async function run(
    dockerfile: string,
    files: Files = {},
    options: JobOptions = {},
  ): Promise<Finished> {
    const all = { ...files, Dockerfile: dockerfile.replaceAll('HOST', registry.host) };
    return build(local.pipeline, await jobOf(registry, { files: all, ...options }));
  }

  return {
    run,
    get registry() {
      return registry;
    },
    get pipeline() {
      return local;
    },
    /** Builds an image, which must succeed, puts the tag on it and pulls it. */
    async image(
      dockerfile: string,
      files: Files = {},
      { tag, ...options }: JobOptions & { readonly tag?: string } = {},
    ): Promise<PulledImage> {
      const { outcome, lines } = await run(dockerfile, files, options);
      if (outcome.status === 'failed') throw new Error(lines.join('\n'));
      const destination = options.destination ?? registry.at('acme/app');
      if (tag) await tagImage(registry, destination, outcome.digest, tag);
      return pullImage(registry, destination, outcome.digest);
    },
    /** Why a build failed, which it must. */
    async failure(dockerfile: string, files: Files = {}, options: JobOptions = {}) {
      const { outcome } = await run(dockerfile, files, options);
      if (outcome.status === 'succeeded') throw new Error('the build succeeded');
      return outcome;
    },
  };
}
