import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDiskArtifactStore, createMemoryArtifactStore } from '@cygni/core';
import { artifactStoreConformance } from '@cygni/core/conformance';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const test = { describe, it, expect, beforeEach, afterEach };

describe('in memory', () => {
  artifactStoreConformance(test, {
    create: async () => ({ store: createMemoryArtifactStore(), async dispose() {} }),
  });
});

describe('on disk', () => {
  artifactStoreConformance(test, {
    async create() {
      const directory = await mkdtemp(join(tmpdir(), 'cygni-artifacts-'));
      return {
        store: createDiskArtifactStore({ directory }),
        dispose: () => rm(directory, { recursive: true }),
      };
    },
  });
});
