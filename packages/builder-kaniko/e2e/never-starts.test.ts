import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createBuilder, finished, type TestBuilder } from './support/builder.ts';
import { until } from './support/until.ts';

let builder: TestBuilder;
beforeAll(async () => {
  builder = await createBuilder();
});
afterAll(() => builder?.[Symbol.asyncDispose]());

const files = { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' };

describe('a build that never starts', () => {
  it('for want of a node is the platform’s fault, with the scheduler’s words', async () => {
    await using pipeline = builder.open({
      nodeSelector: { 'cygni.dev/no-such': 'node' },
      schedulingSeconds: 3,
    });
    await pipeline.open(call());
    const job = await builder.job({ files });
    const { outcome } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'platform_error',
      message: expect.stringMatching(/^no node of the cluster has room .*affinity\/selector/),
    });
    await until(async () => (await builder.names('jobs,pods', job.buildId)).length === 0, 20_000);
  });

  it('because somebody took its Secret away is the platform’s fault, and does not wait for its timeout', async () => {
    const label = `cygni.dev/${builder.namespace.name}`;
    const { kubectl } = builder.namespace;
    await using pipeline = builder.open({
      nodeSelector: { [label]: 'yes' },
      schedulingSeconds: 20,
    });
    await pipeline.open(call());
    const job = await builder.job({ files });
    const run = await pipeline.start(job, call());
    await until(async () => (await builder.names('secrets', job.buildId)).length === 1, 20_000);
    await kubectl('delete', 'secret', `-lcygni.dev/build=${job.buildId}`);
    // From now on it has a node.
    await kubectl('label', 'nodes', '--all', `${label}=yes`);
    try {
      const { outcome } = await finished(run);
      expect(outcome).toMatchObject({
        status: 'failed',
        reason: 'platform_error',
        message: expect.stringContaining("could not prepare the build's volumes"),
      });
    } finally {
      await kubectl('label', 'nodes', '--all', `${label}-`);
    }
  });

  it('because its Secret may not be written is the platform’s fault, and leaves no Job', async () => {
    await using other = await createBuilder();
    const rule = '[{"op":"remove","path":"/rules/3"}]';
    await other.namespace.kubectl('patch', 'role', 'cygni-builder', '--type=json', `-p=${rule}`);
    await using pipeline = other.open();
    await pipeline.open(call());
    const job = await other.job({ files });
    const { outcome } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'platform_error',
      message: expect.stringMatching(/^the build could not be started: Secret .*403/),
    });
    await until(async () => (await other.names('jobs,pods', job.buildId)).length === 0, 20_000);
  });
});
