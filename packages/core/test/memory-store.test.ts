import { randomBytes } from 'node:crypto';
import { createMemoryStore, createSealedStore, type Store } from '@cygni/core';
import { storeConformance } from '@cygni/core/conformance';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

function judge(wrap: (store: Store) => Store): void {
  storeConformance(
    { describe, it, expect, beforeEach, afterEach },
    {
      async create() {
        let ahead = 0;
        const store = wrap(createMemoryStore({ now: () => new Date(Date.now() + ahead) }));
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
}

describe('in memory', () => judge((store) => store));

describe('in memory, sealed', () => {
  const keys = [{ id: 'present', key: randomBytes(32) }];
  judge((store) => createSealedStore(store, { keys }));
});
