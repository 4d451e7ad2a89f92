import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['cygni-source'] };

/** npm run test:aws */
export default defineConfig({
  resolve,
  ssr: { resolve },
  environments: { __vitest__: { resolve } },
  test: {
    include: ['packages/registry-ecr/aws/**/*.test.ts'],
    globalSetup: [fileURLToPath(new URL('aws/clean-up.ts', import.meta.url))],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
