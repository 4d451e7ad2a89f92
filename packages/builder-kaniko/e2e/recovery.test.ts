import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createBuilder, finished, type TestBuilder } from './support/builder.ts';
import { until } from './support/until.ts';

let builder: TestBuilder;
beforeAll(async () => {
  builder = await createBuilder();
});
afterAll(() => builder?.[Symbol.asyncDispose]());

const files = { Dockerfile: 'FROM busybox:1\nRUN cat /proc/sys/kernel/random/uuid > /once\n' };
const endless = { Dockerfile: 'FROM busybox:1\nRUN echo begun; sleep 600\n' };

describe('a run whose Job was removed before its build was finished', () => {
  it('has succeeded if its image was pushed, and is not built again', async () => {
    const job = await builder.job({ files });
    const first = builder.open({ cache: null });
    await first.open(call());
    const { outcome } = await finished(await first.start(job, call()));
    await first.close();
    await using second = builder.open({ cache: null });
    await second.open(call());
    const run = await second.start({ ...job, resumed: true }, call());
    const digest = outcome.status === 'succeeded' ? outcome.digest : 'none';
    // Had it been built again, it would be another image.
    expect(await run.wait(call())).toMatchObject({ status: 'succeeded', digest });
    expect(await Array.fromAsync(run.logs({ after: 40 }, call()))).toMatchObject([
      { position: 41, text: expect.stringContaining('the image was pushed') },
    ]);
    expect(await builder.names('jobs', job.buildId)).toEqual([]);
  });

  it('is built if it has pushed none, whatever others have pushed there', async () => {
    await using pipeline = builder.open({ cache: null });
    await pipeline.open(call());
    const one = await builder.job({ files });
    const built = (await finished(await pipeline.start(one, call()))).outcome;
    const another = await builder.job({ files });
    for (const job of [another, { ...one, attempt: 2 }]) {
      const run = await pipeline.start({ ...job, resumed: true }, call());
      const { outcome, lines } = await finished(run);
      expect(outcome).toMatchObject({ status: 'succeeded' });
      expect(outcome).not.toMatchObject({ digest: 'digest' in built ? built.digest : '' });
      expect(lines.join('\n')).toContain('RUN cat /proc/sys/kernel/random/uuid');
    }
  });
});

describe('the runs of a cluster', () => {
  it('are listed and ended by another process than the one that began them', async () => {
    const first = builder.open();
    await first.open(call());
    const job = await builder.job({ files: endless });
    const name = { buildId: job.buildId, attempt: 1 };
    await first.start(job, call());
    await until(async () => (await builder.names('pods', job.buildId)).length === 1, 20_000);
    await first.close();
    // It looks like one of ours, and is none.
    const labels = {
      'app.kubernetes.io/managed-by': 'cygni',
      'app.kubernetes.io/component': 'build',
      'cygni.dev/attempt': '1',
    };
    await builder.namespace.apply({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'stranger', labels, annotations: { 'cygni.dev/build-id': job.buildId } },
      spec: {
        suspend: true,
        template: {
          spec: { restartPolicy: 'Never', containers: [{ name: 'x', image: 'none.test/x' }] },
        },
      },
    });

    await using second = builder.open();
    await second.open(call());
    expect(await second.listRuns?.(call())).toEqual([name]);
    await second.endRun?.(name, call());
    await second.endRun?.(name, call());
    await until(
      async () => (await builder.names('jobs,pods,secrets', job.buildId)).length === 0,
      20_000,
    );
    await until(async () => (await second.listRuns?.(call()))?.length === 0, 10_000);
    expect(await builder.namespace.kubectl('get', 'job', 'stranger', '-oname')).toContain(
      'stranger',
    );
  });
});

describe('a source that cannot be fetched', () => {
  it('is told of without the key to it', async () => {
    await using pipeline = builder.open();
    await pipeline.open(call());
    const job = await builder.job({ files });
    const presign = async () => {
      const url = await job.source.presign(1, call());
      url.port = '1';
      return url;
    };
    const run = await pipeline.start({ ...job, source: { ...job.source, presign } }, call());
    const { outcome, lines } = await finished(run);
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'platform_error',
      message: expect.stringMatching(/could not be fetched.*tar\.gz.*refused/),
    });
    expect(lines.join('\n')).toContain('?[redacted]');
    expect(`${lines.join('\n')}${JSON.stringify(outcome)}`).not.toContain('signature=');
  });
});
