import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ImageClient, Registry } from '@cygni/core';
import { registryConformance } from '@cygni/core/conformance';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createImageClient } from '../src/index.ts';
import { embedded } from './support/embedded.ts';

interface Documented {
  createPlainRegistry(options: { readonly host: string; readonly images: ImageClient }): Registry;
}

const page = fileURLToPath(new URL('../../../docs/writing-a-registry-adapter.md', import.meta.url));
const [, adapter = ''] = /```ts\n([\s\S]*?)```/.exec(await readFile(page, 'utf8')) ?? [];
// Within the package, so that its imports are found.
const directory = await mkdtemp(path.join(import.meta.dirname, 'documented-'));
await writeFile(path.join(directory, 'adapter.ts'), adapter);
const { createPlainRegistry }: Documented = await import(
  pathToFileURL(path.join(directory, 'adapter.ts')).href
);

describe('the adapter that docs/writing-a-registry-adapter.md ends with', () => {
  afterAll(() => rm(directory, { recursive: true }));

  registryConformance(
    { describe, it, expect, beforeEach, afterEach },
    {
      tags: 'mutable',
      credentials: 'anonymous',
      async create() {
        const served = await embedded();
        const images = createImageClient({ retry: { retries: 1, firstDelayMs: 5 } });
        const stop = () => Promise.resolve(served[Symbol.asyncDispose]());
        return {
          registry: createPlainRegistry({ host: served.host, images }),
          images,
          prefix: 'acme',
          async elapse() {},
          stop,
          async dispose() {
            await stop();
            await images.close();
          },
        };
      },
    },
  );
});
