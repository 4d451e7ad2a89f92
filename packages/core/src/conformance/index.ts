export { queueConformance } from './queue.ts';
export type { QueueUnderTest } from './queue-fixture.ts';
export { storeConformance } from './store.ts';
export type { StoreUnderTest } from './store-fixture.ts';
export type { Expectation, TestFunctions } from './test-functions.ts';
