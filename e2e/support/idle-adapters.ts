import { type Adapter, CygniError, type Deployer, type Registry, SPEC_VERSION } from '@cygni/core';

/** Of the one image that there is. */
export const digest = `sha256:${'0'.repeat(64)}`;

/** What every adapter that does nothing begins with. */
export const adapter: Adapter = {
  specVersion: SPEC_VERSION,
  name: 'nothing',
  async open() {},
  async close() {},
};

export const registry: Registry = {
  ...adapter,
  host: 'registry.test',
  insecure: false,
  async ensureRepository() {},
  async credentials() {
    return { username: 'cygni', password: 'cygni', expiresAt: null, reach: 'repository' };
  },
  async resolve() {
    return { digest, mediaType: 'x', sizeBytes: 1, platforms: [] };
  },
  async tag() {},
  async listTags() {
    return [];
  },
  async deleteImage() {},
};

async function refuse(): Promise<never> {
  throw new CygniError('unsupported', 'nothing is deployed here');
}

export const deployer: Deployer = {
  ...adapter,
  supports: { split: false },
  apply: refuse,
  observe: refuse,
  route: refuse,
  tailLogs: refuse,
  remove: refuse,
};
