import { createFlatBudget, isTerminalBuildState } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { createScriptedPipeline } from '../fixtures/scripted-pipeline.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

const budget = createFlatBudget({ build: 60, cap: 100, alertAt: [50, 90] });

async function ended(test: TestPlatform, id: string): Promise<void> {
  await test.until(async () => {
    const { state } = await test.platform.builds.get('acme', id, testCall());
    return isTerminalBuildState(state) || undefined;
  });
}

async function thresholds(test: TestPlatform): Promise<unknown[]> {
  const { items } = await test.store.listEvents('acme', { limit: 100, cursor: null }, testCall());
  return items.flatMap(({ type, data }) => (type === 'budget.threshold' ? [data.percent] : []));
}

describe('a budget', () => {
  it('tells of the thresholds of its policy as it is spent, and again when its cap is raised', async () => {
    await using test = await startPlatform({ budget });
    await ended(test, await test.build('acme'));
    expect(await thresholds(test)).toEqual([50]);
    await test.platform.budgets.set('acme', { limit: 200 }, null, testCall());
    await ended(test, await test.build('acme'));
    expect(await thresholds(test)).toEqual([50, 50]);
  });

  it('is not touched by a build that failed by the platform’s fault', async () => {
    const pipeline = createScriptedPipeline(async () => ({
      status: 'failed',
      reason: 'evicted',
      message: 'the machine went away',
    }));
    await using test = await startPlatform({ budget, pipeline, settings: { maximumAttempts: 1 } });
    await ended(test, await test.build('acme'));
    const account = await test.platform.budgets.get('acme', testCall());
    expect(account).toMatchObject({ spent: 0, reserved: 0 });
    expect(await thresholds(test)).toEqual([]);
  });
});
