import { defineConfig } from 'vitest/config';

/** Tests and their global set-up run the packages' sources, not their dist. */
const resolve = { conditions: ['cygni-source'] };

export default defineConfig({
  resolve,
  ssr: { resolve },
  environments: { __vitest__: { resolve } },
  test: {
    include: [
      'packages/*/test/**/*.test.ts',
      'examples/*/test/**/*.test.ts',
      'scripts/**/*.test.ts',
    ],
    globalSetup: [
      'packages/store-postgres/test/support/global-setup.ts',
      'packages/queue-redis/test/support/global-setup.ts',
    ],
    // Most tests wait for processes, files and clocks: one more worker than vitest's own choice on two cores.
    maxWorkers: '100%',
    // Said, although it is the default, so that the summary is the last thing printed and no hint about it.
    isolate: true,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
