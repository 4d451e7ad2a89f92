import type { BuildJob } from '@cygni/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jobManifest } from '../src/job/manifest.ts';
import { parseOptions } from '../src/options.ts';
import { type ApiServerDoor, openDoor } from './support/api-server-door.ts';
import { call, createBuilder, finished, type TestBuilder } from './support/builder.ts';
import { cluster } from './support/namespace.ts';

let builder: TestBuilder;
beforeAll(async () => {
  builder = await createBuilder();
});
afterAll(() => builder?.[Symbol.asyncDispose]());

const files = { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' };
const watches = ({ seen }: ApiServerDoor) =>
  seen.filter(({ isWatch }) => isWatch).map(({ resource }) => resource);
const lists = ({ seen }: ApiServerDoor) =>
  seen.filter(({ method, isWatch, resource }) => {
    return method === 'GET' && !isWatch && (resource === 'jobs' || resource === 'pods');
  });

async function until(isSo: () => boolean, milliseconds: number): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('it did not come to be');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Jobs as this package makes them, which never get a pod. */
async function suspended(other: TestBuilder, count: number): Promise<readonly BuildJob[]> {
  const { settings } = parseOptions({
    kubeconfig: other.namespace.kubeconfig,
    namespace: other.namespace.name,
    registry: other.registry,
    image: cluster.kanikoImage,
    flavour: 'v1.24.0',
  });
  const first = await other.job({ files });
  const all = Array.from({ length: count }, () => ({ ...first, buildId: crypto.randomUUID() }));
  const items = all.map((job) => {
    const made = jobManifest({ job, cacheRepository: null, registryProxy: null, settings });
    return { ...made, spec: { ...made.spec, suspend: true } };
  });
  for (let start = 0; start < count; start += 250) {
    const list = { apiVersion: 'v1', kind: 'List', items: items.slice(start, start + 250) };
    await other.namespace.create(list);
  }
  return all;
}

describe('the API server', () => {
  it('is asked for one list and one watch of each kind, with 1,000 builds under way', async () => {
    await using other = await createBuilder();
    const jobs = await suspended(other, 1_000);
    await using door = await openDoor(other.namespace.kubeconfig);
    await using pipeline = other.open({
      kubeconfig: door.kubeconfig,
      cache: null,
      requestsPerSecond: 1_000,
      maximumInFlight: 2_000,
    });
    await pipeline.open(call());
    await Promise.all(jobs.map((job) => pipeline.start(job, call())));
    const secrets = () =>
      door.seen.filter(({ method, resource }) => method === 'POST' && resource === 'secrets');
    await until(() => secrets().length >= jobs.length, 120_000);
    expect(watches(door).sort()).toEqual(['jobs', 'pods']);
    // A list of 1,000 comes in two pages.
    expect(lists(door)).toHaveLength(3);
    expect(await pipeline.listRuns?.(call())).toHaveLength(1_000);
  });

  it('is not asked so often that a cancellation has to wait', async () => {
    await using other = await createBuilder();
    await using door = await openDoor(other.namespace.kubeconfig);
    const opened = performance.now();
    await using pipeline = other.open({
      kubeconfig: door.kubeconfig,
      requestsPerSecond: 4,
      maximumInFlight: 100,
    });
    const [first, ...others] = await suspended(other, 40);
    if (!first) throw new Error('there is no Job');
    await pipeline.open(call());
    const run = await pipeline.start(first, call());
    const told = () => door.seen.some(({ resource }) => resource === 'secrets');
    await until(told, 10_000);
    await Promise.all(others.map((job) => pipeline.start(job, call())));
    const began = performance.now();
    await run.cancel(call());
    expect(await run.wait(call())).toMatchObject({ reason: 'cancelled' });
    const waited = performance.now() - began;
    expect(waited).toBeLessThan(3_000);
    // 4 a second and a burst of 4, two watches, and what passes the limit by to cancel.
    const most = 4 + 4 * ((performance.now() - opened) / 1000) + 2 + 3;
    expect(door.seen.length).toBeLessThanOrEqual(most);
    expect(door.seen.length).toBeLessThan(others.length);
  });

  it('that answers 429 and 503 is asked again after the time it names, not by all at once', async () => {
    await using door = await openDoor(builder.namespace.kubeconfig);
    await using pipeline = builder.open({ kubeconfig: door.kubeconfig, maximumInFlight: 100 });
    await pipeline.open(call());
    const refused: number[] = [];
    const again: number[] = [];
    const builds = 8;
    door.interfere = ({ method, resource, at }, response) => {
      if (method !== 'POST' || resource !== 'jobs') return false;
      if (refused.length === builds) {
        again.push(at);
        return false;
      }
      refused.push(at);
      const status = refused.length % 2 === 0 ? 429 : 503;
      response.writeHead(status, { 'retry-after': '1' }).end('{"message":"too busy"}');
      return true;
    };
    const jobs = await Promise.all(Array.from({ length: builds }, () => builder.job({ files })));
    const runs = await Promise.all(jobs.map((job) => pipeline.start(job, call())));
    const ends = await Promise.all(runs.map((run) => finished(run)));
    for (const { outcome } of ends) expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(again).toHaveLength(builds);
    expect(Math.min(...again) - Math.max(...refused)).toBeGreaterThan(900);
    expect(Math.max(...again) - Math.min(...again)).toBeGreaterThan(50);
  });

  it('that has forgotten where a watch was is asked for a list anew', async () => {
    await using door = await openDoor(builder.namespace.kubeconfig);
    const gone = JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } });
    let answered = 0;
    door.interfere = ({ isWatch }, response) => {
      if (!isWatch || answered === 4) return false;
      answered += 1;
      // Within a stream, and as an answer of its own.
      if (answered <= 2) response.writeHead(200).end(`${gone}\n`);
      else response.writeHead(410).end('{}');
      return true;
    };
    await using pipeline = builder.open({ kubeconfig: door.kubeconfig });
    await pipeline.open(call());
    await until(() => answered === 4, 10_000);
    const run = await pipeline.start(await builder.job({ files }), call());
    expect((await finished(run)).outcome).toMatchObject({ status: 'succeeded' });
    expect(lists(door).length).toBe(2 + 4);
  });

  it('whose watches fall silent is asked for a list anew, and no build is forgotten', async () => {
    await using door = await openDoor(builder.namespace.kubeconfig);
    let mute = 0;
    door.interfere = ({ isWatch }, response) => {
      if (!isWatch || mute === 2) return false;
      mute += 1;
      response.writeHead(200).flushHeaders();
      return true;
    };
    await using pipeline = builder.open({ kubeconfig: door.kubeconfig });
    await pipeline.open(call());
    await until(() => mute === 2, 5_000);
    const long = call(110_000);
    const run = await pipeline.start(await builder.job({ files, timeoutSeconds: 300 }), long);
    expect(await run.wait(long)).toMatchObject({ status: 'succeeded' });
    expect(lists(door).length).toBe(4);
  });
});
