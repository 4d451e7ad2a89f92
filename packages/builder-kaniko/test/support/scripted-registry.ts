import { type Registry, SPEC_VERSION } from '@cygni/core';

/** Stands in for a registry that is not asked anything. */
export function scriptedRegistry(): Registry {
  const unused = () => Promise.reject(new Error('unused'));
  return {
    specVersion: SPEC_VERSION,
    name: 'scripted',
    host: 'registry.test:5000',
    insecure: false,
    open: async () => {},
    close: async () => {},
    ensureRepository: unused,
    credentials: unused,
    resolve: unused,
    tag: unused,
    listTags: unused,
    deleteImage: unused,
  };
}
