import { testCredentials } from './registry-credentials.ts';
import { testDeletion } from './registry-deletion.ts';
import {
  createRegistryFixture,
  type RegistryFixture,
  type RegistryTraits,
  type RegistryUnderTest,
} from './registry-fixture.ts';
import { testRegistryLifecycle } from './registry-lifecycle.ts';
import { testRepositories } from './registry-repositories.ts';
import { testResolution } from './registry-resolution.ts';
import { testTags } from './registry-tags.ts';
import type { TestFunctions } from './test-functions.ts';

/**
 * Judges a Registry. Every test has repositories of its own, so one server may serve them all.
 * @param options.create a registry for each test, not opened yet
 */
export function registryConformance(
  test: TestFunctions,
  { create, ...traits }: RegistryTraits & { readonly create: () => Promise<RegistryUnderTest> },
): void {
  let fixture: RegistryFixture | undefined;
  const current = (): RegistryFixture => {
    if (!fixture) throw new Error('no registry outside of a test');
    return fixture;
  };

  test.describe('Registry', () => {
    test.beforeEach(async () => {
      fixture = createRegistryFixture(await create());
    });
    test.afterEach(async () => {
      await fixture?.dispose();
      fixture = undefined;
    });
    testRepositories(test, current);
    testCredentials(test, current, traits);
    testResolution(test, current);
    testTags(test, current, traits);
    testDeletion(test, current);
    testRegistryLifecycle(test, current);
  });
}
