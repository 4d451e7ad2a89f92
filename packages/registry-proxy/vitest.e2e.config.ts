import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['cygni-source'] };

/** vitest run --config packages/registry-proxy/vitest.e2e.config.ts */
export default defineConfig({
  resolve,
  ssr: { resolve },
  test: {
    include: ['packages/registry-proxy/e2e/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 300_000,
  },
});
