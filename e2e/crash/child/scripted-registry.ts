import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError, type Deployer, type Registry, SPEC_VERSION } from '@cygni/core';
import { imageBytes } from './scripted-pipeline.ts';

/** Knows the images that the scripted pipeline has pushed. */
export function createScriptedRegistry(images: string): Registry {
  return {
    specVersion: SPEC_VERSION,
    name: 'scripted',
    host: 'registry.test',
    insecure: false,
    async open() {},
    async close() {},
    async ensureRepository() {},
    async credentials() {
      return { username: 'cygni', password: 'cygni', expiresAt: null, reach: 'repository' };
    },
    async resolve(_repository, digest) {
      const found = await stat(join(images, digest)).catch(() => null);
      if (!found) throw new CygniError('not_found', 'no such image');
      return { digest, mediaType: 'x', sizeBytes: imageBytes, platforms: [] };
    },
    async tag() {},
    async listTags() {
      return [];
    },
    async deleteImage() {},
  };
}

async function refuse(): Promise<never> {
  throw new CygniError('unsupported', 'nothing is deployed here');
}

export const noDeployer: Deployer = {
  specVersion: SPEC_VERSION,
  name: 'none',
  supports: { split: false },
  async open() {},
  async close() {},
  apply: refuse,
  observe: refuse,
  route: refuse,
  tailLogs: refuse,
  remove: refuse,
};
