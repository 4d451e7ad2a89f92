import { testAcceptance } from './store-acceptance.ts';
import { testBudgets } from './store-budgets.ts';
import { testClaims } from './store-claims.ts';
import { testDeliveries } from './store-deliveries.ts';
import { testDeployments } from './store-deployments.ts';
import { testDispatch } from './store-dispatch.ts';
import { testEvents } from './store-events.ts';
import { createFixture, type Fixture, type StoreUnderTest } from './store-fixture.ts';
import { testLifecycle } from './store-lifecycle.ts';
import { testLists } from './store-lists.ts';
import { testLogArchives } from './store-log-archives.ts';
import { testLogs } from './store-logs.ts';
import { testOrphans } from './store-orphans.ts';
import { testRecovery } from './store-recovery.ts';
import { testRetention } from './store-retention.ts';
import { testSources } from './store-sources.ts';
import { testWebhooks } from './store-webhooks.ts';
import type { TestFunctions } from './test-functions.ts';

/**
 * Judges a Store. Calls that race do race: the kit starts them together and does not wait in between.
 * @param options.create a new, empty store for each test
 */
export function storeConformance(
  test: TestFunctions,
  { create }: { readonly create: () => Promise<StoreUnderTest> },
): void {
  let fixture: Fixture | undefined;
  const current = (): Fixture => {
    if (!fixture) throw new Error('no store outside of a test');
    return fixture;
  };

  test.describe('Store', () => {
    test.beforeEach(async () => {
      const under = await create();
      fixture = createFixture(under);
    });
    test.afterEach(async () => {
      await fixture?.dispose();
      fixture = undefined;
    });
    testSources(test, current);
    testAcceptance(test, current);
    testDispatch(test, current);
    testClaims(test, current);
    testOrphans(test, current);
    testLogs(test, current);
    testLogArchives(test, current);
    testDeployments(test, current);
    testBudgets(test, current);
    testRecovery(test, current);
    testRetention(test, current);
    testEvents(test, current);
    testWebhooks(test, current);
    testDeliveries(test, current);
    testLists(test, current);
    testLifecycle(test, current);
  });
}
