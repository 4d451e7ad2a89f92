import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createBuilder, finished, printed, type TestBuilder } from './support/builder.ts';

const disk = '64Mi';
/** The kubelet measures what pods have written every ten seconds at the earliest. */
const overDiskMs = 150_000;

let builder: TestBuilder;
beforeAll(async () => {
  builder = await createBuilder();
});
afterAll(() => builder?.[Symbol.asyncDispose]());

describe('a build whose pod the cluster ends', () => {
  it('is called evicted where the Eviction API did, and keeps its log', async () => {
    await using pipeline = builder.open({ cache: null });
    await pipeline.open(call());
    // Kaniko prints the step before it runs it: the word is only in what the step itself prints.
    const files = { Dockerfile: 'FROM busybox:1\nRUN echo be""gun; sleep 600\n' };
    const job = await builder.job({ files });
    const run = await pipeline.start(job, call());
    await printed(run, 'begun');
    const [pod = ''] = await builder.names('pods', job.buildId);
    await builder.namespace.evict(pod.replace('pod/', ''));
    const { outcome, lines } = await finished(run);
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'evicted',
      message: expect.stringContaining('Eviction API'),
    });
    expect(lines).toContain('begun');
  });

  it('is told which disk it filled where it wrote more than its machine has', async () => {
    const machine = { cpu: '1', cpuRequest: '50m', memory: '512Mi', ephemeralStorage: disk };
    await using pipeline = builder.open({
      cache: null,
      machines: { small: machine, medium: machine, large: machine },
    });
    await pipeline.open(call());
    const Dockerfile = 'FROM busybox:1\nRUN dd if=/dev/zero of=/big bs=1M count=200; sleep 600\n';
    const job = await builder.job({ files: { Dockerfile }, timeoutSeconds: overDiskMs / 1_000 });
    const { outcome } = await finished(await pipeline.start(job, call()), overDiskMs);
    expect(outcome).toMatchObject({
      status: 'failed',
      reason: 'user_error',
      message: expect.stringMatching(/wrote more to disk than the 64 MiB of the machine "small"/),
    });
  });
});
