import { type ArtifactStoreUnderTest, live } from './artifact-store-fixture.ts';
import { testArtifactKeys } from './artifact-store-keys.ts';
import { testArtifactLifecycle } from './artifact-store-lifecycle.ts';
import { testPresigning } from './artifact-store-presigning.ts';
import { testPuts } from './artifact-store-puts.ts';
import { testReads } from './artifact-store-reads.ts';
import type { TestFunctions } from './test-functions.ts';

/**
 * Judges an ArtifactStore.
 * @param options.create a new, empty store for each test; the kit opens it
 */
export function artifactStoreConformance(
  test: TestFunctions,
  { create }: { readonly create: () => Promise<ArtifactStoreUnderTest> },
): void {
  let under: ArtifactStoreUnderTest | undefined;
  const current = () => {
    if (!under) throw new Error('no artifact store outside of a test');
    return under.store;
  };

  test.describe('ArtifactStore', () => {
    test.beforeEach(async () => {
      under = await create();
      await under.store.open(live);
    });
    test.afterEach(async () => {
      await under?.store.close();
      await under?.dispose();
      under = undefined;
    });
    testPuts(test, current);
    testReads(test, current);
    testArtifactKeys(test, current);
    testPresigning(test, current);
    testArtifactLifecycle(test, current);
  });
}
