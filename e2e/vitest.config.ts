import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['cygni-source'] };

/** What needs a Kubernetes: `npm run test:e2e`. Never part of `npm test`. */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  resolve,
  ssr: { resolve },
  environments: { __vitest__: { resolve } },
  test: {
    include: ['e2e/**/*.test.ts', 'packages/*/e2e/**/*.test.ts'],
    globalSetup: ['e2e/global-setup.ts'],
    // They share one small cluster, and some of them take its API server away.
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
