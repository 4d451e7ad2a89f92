import { randomBytes } from 'node:crypto';
import {
  createMemoryStore,
  createSealedStore,
  isTerminalBuildState,
  isTerminalDeploymentState,
  type Store,
} from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { createScriptedDeployer } from '../fixtures/scripted-deployer.ts';
import { createScriptedPipeline } from '../fixtures/scripted-pipeline.ts';
import { knownDigest, sickDigest } from '../fixtures/scripted-registry.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

const tenant = 'acme';
const lostKey = 'lost-key';

/** Values go into `inner` under the one key, and are read with another. */
function loseKey(inner: Store): Store {
  const writing = createSealedStore(inner, { keys: [{ id: lostKey, key: randomBytes(32) }] });
  const reading = createSealedStore(inner, { keys: [{ id: 'present', key: randomBytes(32) }] });
  return {
    ...inner,
    claimBuild: reading.claimBuild,
    claimDeployment: reading.claimDeployment,
    acceptBuild: writing.acceptBuild,
    acceptDeployment: writing.acceptDeployment,
  };
}

function endedDeployment(test: TestPlatform, id: string) {
  return test.until(async () => {
    const deployment = await test.platform.deployments.get(tenant, id, testCall());
    return isTerminalDeploymentState(deployment.state) ? deployment : undefined;
  });
}

describe('a value whose key is gone', () => {
  it('fails the build that needs it, which says which one it is and does not run', async () => {
    let runs = 0;
    const pipeline = createScriptedPipeline(async () => {
      runs += 1;
      return { status: 'failed', reason: 'user_error', message: 'it ran' };
    });
    await using test = await startPlatform({ pipeline, store: loseKey(createMemoryStore()) });
    const id = await test.build(tenant, { buildArguments: { TOKEN: 'hunter2' } });
    const build = await test.until(async () => {
      const found = await test.platform.builds.get(tenant, id, testCall());
      return isTerminalBuildState(found.state) ? found : undefined;
    });
    expect(build).toMatchObject({
      state: 'FAILED',
      cost: 0,
      failure: {
        reason: 'platform_error',
        message: `the build argument TOKEN cannot be opened: its key ${lostKey} is not there`,
      },
    });
    expect(runs).toBe(0);
  });

  it('fails the deployment that needs it, and says which one it is', async () => {
    const deployer = createScriptedDeployer();
    await using test = await startPlatform({ deployer, store: loseKey(createMemoryStore()) });
    const id = await test.deploy(tenant, knownDigest, { environment: { TOKEN: 'hunter2' } });
    expect(await endedDeployment(test, id)).toMatchObject({
      state: 'FAILED',
      evidence: {
        rule: 'apply_failed',
        message: `the environment variable TOKEN cannot be opened: its key ${lostKey} is not there`,
      },
    });
    expect(deployer.calls.filter((each) => each.startsWith('apply'))).toEqual([]);
  });

  it('keeps no later revision away, and the revision that has it keeps the traffic from a sick one', async () => {
    const inner = createMemoryStore();
    let store = inner;
    const deployer = createScriptedDeployer();
    const switching = new Proxy(inner, {
      get: (_, property) => Reflect.get(store, property),
    });
    await using test = await startPlatform({ deployer, store: switching });
    store = createSealedStore(inner, { keys: [{ id: lostKey, key: randomBytes(32) }] });
    const first = await test.deploy(tenant, knownDigest, { environment: { TOKEN: 'hunter2' } });
    await endedDeployment(test, first);
    store = createSealedStore(inner, { keys: [{ id: 'present', key: randomBytes(32) }] });
    const sick = await endedDeployment(test, await test.deploy(tenant, sickDigest));
    expect(sick).toMatchObject({ state: 'ROLLED_BACK', evidence: { rolledBackTo: 1 } });
    expect(deployer.calls.filter((each) => each.startsWith('route')).at(-1)).toBe('route 1');
    const third = await endedDeployment(test, await test.deploy(tenant, knownDigest));
    expect(third).toMatchObject({ state: 'SUCCEEDED', revision: 3 });
    expect(deployer.calls).toContain('remove 1');
  });
});
