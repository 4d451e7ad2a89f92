import { createMemoryQueue } from '@cygni/core';
import { queueConformance } from '@cygni/core/conformance';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

describe('the memory queue', () => {
  queueConformance(
    { describe, it, expect, beforeEach, afterEach },
    {
      async create() {
        const queue = createMemoryQueue();
        return { queue, loseConsumer: null, dispose: () => queue.close() };
      },
    },
  );
});
