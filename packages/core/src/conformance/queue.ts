import { testDeliveries } from './queue-deliveries.ts';
import { testFailures } from './queue-failures.ts';
import type { QueueUnderTest } from './queue-fixture.ts';
import { testLifecycle } from './queue-lifecycle.ts';
import type { TestFunctions } from './test-functions.ts';

/**
 * Judges a Queue.
 * @param options.create a new, empty queue for each test
 */
export function queueConformance(
  test: TestFunctions,
  { create }: { readonly create: () => Promise<QueueUnderTest> },
): void {
  let under: QueueUnderTest | undefined;
  const current = (): QueueUnderTest => {
    if (!under) throw new Error('no queue outside of a test');
    return under;
  };

  test.describe('Queue', () => {
    test.beforeEach(async () => {
      under = await create();
    });
    test.afterEach(async () => {
      await under?.dispose();
      under = undefined;
    });
    testDeliveries(test, current);
    testFailures(test, current);
    testLifecycle(test, current);
  });
}
