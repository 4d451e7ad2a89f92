export { artifactStoreConformance } from './artifact-store.ts';
export type { ArtifactStoreUnderTest } from './artifact-store-fixture.ts';
export { storeConformance } from './store.ts';
export type { StoreUnderTest } from './store-fixture.ts';
export type { Expectation, TestFunctions } from './test-functions.ts';
