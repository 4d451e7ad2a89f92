import { createMemoryStore } from '@cygni/core';
import { storeConformance } from '@cygni/core/conformance';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

storeConformance(
  { describe, it, expect, beforeEach, afterEach },
  {
    async create() {
      let ahead = 0;
      const store = createMemoryStore({ now: () => new Date(Date.now() + ahead) });
      return {
        store,
        async elapse(seconds) {
          ahead += seconds * 1000;
        },
        dispose: () => store.close(),
      };
    },
  },
);
