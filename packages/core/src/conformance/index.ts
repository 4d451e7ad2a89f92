export { artifactStoreConformance } from './artifact-store.ts';
export type { ArtifactStoreUnderTest } from './artifact-store-fixture.ts';
export { queueConformance } from './queue.ts';
export type { QueueUnderTest } from './queue-fixture.ts';
export { registryConformance } from './registry.ts';
export type { RegistryTraits, RegistryUnderTest } from './registry-fixture.ts';
export { storeConformance } from './store.ts';
export type { StoreUnderTest } from './store-fixture.ts';
export type { Expectation, TestFunctions } from './test-functions.ts';
