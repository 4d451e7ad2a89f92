import {
  type Deployment,
  isCygniError,
  isTerminalDeploymentState,
  rollbackRequestSchema,
} from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { createScriptedDeployer } from '../fixtures/scripted-deployer.ts';
import { knownDigest, sickDigest } from '../fixtures/scripted-registry.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

const tenant = 'acme';
const key = { tenantId: tenant, service: 'hello' };

function ended(test: TestPlatform, id: string): Promise<Deployment> {
  return test.until(async () => {
    const deployment = await test.platform.deployments.get(tenant, id, testCall());
    return isTerminalDeploymentState(deployment.state) ? deployment : undefined;
  });
}

function rollBack(test: TestPlatform, request: { readonly message?: string } = {}) {
  const parsed = rollbackRequestSchema.parse({ rollout: { bakeSeconds: 0 }, ...request });
  return test.platform.deployments.rollBack(key, parsed, null, null, testCall());
}

describe('a deployment', () => {
  it('starts the revision, waits until it is healthy, gives it the traffic, and succeeds', async () => {
    const deployer = createScriptedDeployer();
    await using test = await startPlatform({ deployer });
    const deployment = await ended(test, await test.deploy(tenant, knownDigest));
    expect(deployment).toMatchObject({ state: 'SUCCEEDED', revision: 1, evidence: null });
    expect(deployer.calls).toEqual(['apply 1', 'route 1']);
    expect(await test.platform.services.get(key, testCall())).toMatchObject({
      stableRevision: 1,
      url: 'http://hello.test',
    });
  });

  it('of a sick revision never routes to it, is rolled back, and keeps the evidence', async () => {
    const deployer = createScriptedDeployer();
    await using test = await startPlatform({ deployer });
    await ended(test, await test.deploy(tenant, knownDigest));
    const deployment = await ended(test, await test.deploy(tenant, sickDigest));
    expect(deployment.state).toBe('ROLLED_BACK');
    expect(deployment.evidence).toMatchObject({
      rule: 'health_check_failed',
      requestedDigest: sickDigest,
      observedDigest: sickDigest,
      probes: [{ ok: false, status: 500 }],
      logLines: ['log of revision 2'],
      rolledBackTo: 1,
    });
    await test.until(async () => deployer.calls.includes('remove 2') || undefined);
    expect(deployer.calls).not.toContain('route 2');
    expect((await test.platform.services.get(key, testCall())).stableRevision).toBe(1);
  });

  it('of a sick first revision fails: there is nothing to return to', async () => {
    await using test = await startPlatform();
    const deployment = await ended(test, await test.deploy(tenant, sickDigest));
    expect(deployment).toMatchObject({ state: 'FAILED', evidence: { rolledBackTo: null } });
  });

  it('that falls sick while it is watched with the traffic on it gives the traffic back', async () => {
    const deployer = createScriptedDeployer();
    await using test = await startPlatform({ deployer });
    await ended(test, await test.deploy(tenant, knownDigest));
    const rollout = { deadlineSeconds: 10, bakeSeconds: 60 };
    const id = await test.deploy(tenant, knownDigest, { rollout });
    await test.until(async () => {
      const { phase } = await test.platform.deployments.get(tenant, id, testCall());
      return phase === 'BAKING' || undefined;
    });
    deployer.change(2, { state: 'exited', reason: 'exit code 1' });
    const deployment = await ended(test, id);
    expect(deployment).toMatchObject({
      state: 'ROLLED_BACK',
      evidence: { rule: 'bake_failed', message: expect.stringContaining('exit code 1') },
    });
    expect(deployer.calls.filter((call) => call.startsWith('route'))).toEqual([
      'route 1',
      'route 2',
      'route 1',
    ]);
  });

  it('has removed the revision that it replaced by the time it has succeeded', async () => {
    const deployer = createScriptedDeployer();
    await using test = await startPlatform({ deployer });
    await ended(test, await test.deploy(tenant, knownDigest));
    await ended(test, await test.deploy(tenant, knownDigest));
    expect(deployer.calls).toContain('remove 1');
  });

  it('of an image that the registry does not have is refused', async () => {
    await using test = await startPlatform();
    const missing = `sha256:${'d'.repeat(64)}`;
    await expect(test.deploy(tenant, missing)).rejects.toSatisfy((error) =>
      isCygniError(error, 'not_found'),
    );
  });
});

describe('a rollback', () => {
  it('returns to the revision that was healthy before', async () => {
    const deployer = createScriptedDeployer();
    await using test = await startPlatform({ deployer });
    await ended(test, await test.deploy(tenant, knownDigest));
    await ended(test, await test.deploy(tenant, knownDigest));
    const { resource } = await rollBack(test, { message: 'wrong colour' });
    expect(resource).toMatchObject({ kind: 'rollback', revision: 1, message: 'wrong colour' });
    await test.until(async () => {
      const { stableRevision } = await test.platform.services.get(key, testCall());
      return stableRevision === 1 || undefined;
    });
  });

  it('is not refused when the budget is used up', async () => {
    await using test = await startPlatform();
    await ended(test, await test.deploy(tenant, knownDigest));
    await ended(test, await test.deploy(tenant, knownDigest));
    await test.platform.budgets.set(tenant, { limit: 0 }, null, testCall());
    await expect(test.deploy(tenant, knownDigest)).rejects.toSatisfy((error) =>
      isCygniError(error, 'budget_exceeded'),
    );
    const { resource } = await rollBack(test);
    expect((await ended(test, resource.id)).state).toBe('SUCCEEDED');
  });

  it('of a service with a single revision is a conflict', async () => {
    await using test = await startPlatform();
    await ended(test, await test.deploy(tenant, knownDigest));
    await expect(rollBack(test)).rejects.toSatisfy((error) => isCygniError(error, 'conflict'));
  });
});

describe('the reconciler', () => {
  it('starts a settled service again when a new process finds it gone', async () => {
    await using first = await startPlatform({ deployer: createScriptedDeployer() });
    await ended(first, await first.deploy(tenant, knownDigest));
    await first.platform.stop();

    const deployer = createScriptedDeployer();
    await using second = await startPlatform({ store: first.store, deployer });
    await second.until(async () => deployer.calls.includes('route 1') || undefined);
    expect(deployer.calls).toEqual(['apply 1', 'route 1']);
  });
});
