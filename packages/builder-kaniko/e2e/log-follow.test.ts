import type { PipelineLogLine, StoredLog } from '@cygni/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { followContainerLog } from '../src/log/follow-container-log.ts';
import { testCall, until } from '../test/log/following.ts';
import { connectThroughProxy, createLogPods } from './support/log-pods.ts';

const counting = (count: number, pauseMicroseconds: number) =>
  `i=1; while [ $i -le ${count} ]; do echo line $i; i=$((i+1)); usleep ${pauseMicroseconds}; done`;
const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}`);
const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

describe('following the log of a real pod', () => {
  let pods: Awaited<ReturnType<typeof createLogPods>>;
  let proxy: Awaited<ReturnType<typeof connectThroughProxy>>;
  beforeAll(async () => {
    pods = await createLogPods();
    proxy = await connectThroughProxy(pods.kubeconfig);
  });
  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await pods?.[Symbol.asyncDispose]();
  });

  async function open(script: string) {
    const { pod, watched } = await pods.run(script);
    const source = { ...proxy, namespace: pods.namespace, pod, container: 'build' };
    return (after = 0, stored: StoredLog | null = null) => {
      const options = { ...watched, after, stored };
      return followContainerLog(source, options, testCall(AbortSignal.timeout(110_000)));
    };
  }

  function collect(log: AsyncIterable<PipelineLogLine>) {
    const taken: PipelineLogLine[] = [];
    const done = (async () => {
      for await (const line of log) taken.push(line);
      return taken.map(({ text }) => text);
    })();
    done.catch(() => {});
    return { taken, done };
  }

  it('gives all of a pod that ends at once, and its last line without a line feed', async () => {
    const log = await open('echo first; printf last');
    expect(await collect(log()).done).toEqual(['first', 'last']);
  });

  it('gives each line once, though the connection is killed again and again', async () => {
    const log = await open(counting(400, 8000));
    const { taken, done } = collect(log());
    for (let seen = 40; seen < 400; seen += 60) {
      await until(`line ${seen}`, () => taken.length >= seen, 20_000);
      proxy.drop();
    }
    expect(await done).toEqual(lines(400));
    expect(taken.map(({ position }) => position)).toEqual(taken.map((_, index) => index + 1));
    expect(await collect(log(150)).done).toEqual(lines(400).slice(150));
  });

  it('loses nothing while the API server refuses connections', async () => {
    const log = await open(counting(500, 10_000));
    const { taken, done } = collect(log());
    await until('the first lines', () => taken.length > 50, 20_000);
    await proxy.outage(() => sleep(3000));
    expect(await done).toEqual(lines(500));
  });

  it('loses nothing when the connection goes silent without an end', async () => {
    const log = await open(counting(300, 10_000));
    const { taken, done } = collect(log());
    await until('the first lines', () => taken.length > 50, 20_000);
    proxy.freeze();
    expect(await done).toEqual(lines(300));
  });

  it('gives 200,000 lines that are printed at once, in bounded memory', async () => {
    // containerd 1.6 on a busy node throws away what is in the pipe when the container ends.
    const log = await open('seq 1 200000; sleep 3');
    const before = process.memoryUsage();
    let expected = 0;
    let most = 0;
    for await (const { position, text } of log()) {
      expected += 1;
      if (position !== expected || text !== String(expected)) {
        throw new Error(`line ${expected} is "${text}" at ${position}`);
      }
      if (expected % 1000 === 0) {
        const { heapUsed, external } = process.memoryUsage();
        most = Math.max(most, heapUsed + external - before.heapUsed - before.external);
      }
    }
    expect(expected).toBe(200_000);
    expect(most).toBeLessThan(96 * 1024 * 1024);
  });

  it('goes on across rotations, without a line twice or out of order', async () => {
    // The kubelet looks every 10 s for a log over 10 MiB.
    const wide = 'x'.repeat(2000);
    const log = await open(
      `i=1; while [ $i -le 15000 ]; do echo $i ${wide}; [ $((i % 10)) = 0 ] && usleep 12000; i=$((i+1)); done`,
    );
    let last = 0;
    const taken: PipelineLogLine[] = [];
    for await (const line of log()) {
      taken.push(line);
      const number = Number.parseInt(line.text, 10);
      if (Number.isNaN(number)) continue;
      if (number <= last) throw new Error(`line ${number} came after ${last}`);
      last = number;
    }
    expect(last).toBe(15_000);
    // The node itself writes a few lines to the old file after it has let go of it; nobody can read those.
    expect(taken.filter(({ text }) => /^\d/.test(text)).length).toBeGreaterThan(14_900);
    const [first = ''] = await collect(log()).done;
    expect(Number.parseInt(first, 10), 'the first line that can still be read').toBeGreaterThan(1);
    // Another process, which goes on in the midst of what can still be read.
    const middle = Math.floor((taken.findIndex(({ text }) => text === first) + taken.length) / 2);
    const [{ time: firstTime = '' } = {}] = taken;
    const { position = 0, time: lastTime = '' } = taken[middle] ?? {};
    const resumed = collect(log(position, { position, firstTime, lastTime }));
    await resumed.done;
    expect(resumed.taken).toEqual(taken.slice(middle + 1));
  });
});
