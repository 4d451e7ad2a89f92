import { describe, expect, it } from 'vitest';
import { createClusterClient } from '../../src/cluster/client.ts';
import { createClusterConnection } from '../../src/cluster/connection.ts';
import { testCall, until } from '../log/following.ts';
import { startFakeApiServer } from './fake-api-server.ts';
import { openBuilds } from './fake-builds.ts';

const request = { method: 'GET', path: '/api/v1/namespaces/builds/pods' } as const;

/** On a server that plays Kubernetes: when a real one refuses cannot be told beforehand. */
describe('an API server that refuses', () => {
  it('is left alone for as long as it asks, and by each client for a little longer of its own', async () => {
    await using server = await startFakeApiServer();
    const connection = createClusterConnection(server.kubeconfig);
    const pauses: number[] = [];
    const client = createClusterClient(connection, 1_000, async (milliseconds) => {
      pauses.push(milliseconds);
    });
    for (const [status, seconds] of [
      [429, 7],
      [503, 7],
      [429, 7],
      [429, 3_600],
    ] as const) {
      server.faults.push({
        what: 'LIST pods',
        status,
        headers: { 'retry-after': String(seconds) },
      });
      await client.send('list', request, testCall());
    }
    expect(server.count('LIST pods')).toBe(8);
    const longest = pauses.pop() ?? 0;
    expect(longest >= 30_000 && longest <= 37_500, 'no server stops builds for an hour').toBe(true);
    expect(pauses.every((pause) => pause >= 7_000 && pause <= 8_750)).toBe(true);
    expect(new Set(pauses).size).toBe(3);
    await connection.close();
  });

  it.each([
    [500, 2],
    [502, 2],
    [503, 2],
    [504, 2],
    [400, 1],
    [403, 1],
    [422, 1],
  ])('with %i is asked %i times', async (status, times) => {
    await using server = await startFakeApiServer();
    const connection = createClusterConnection(server.kubeconfig);
    const client = createClusterClient(connection, 1_000);
    server.faults.push({ what: 'LIST pods', status });
    await client.send('list', request, testCall()).catch(() => {});
    expect(server.count('LIST pods')).toBe(times);
    await connection.close();
  });

  it('takes no Job for as long as one is tried fails the build, and says whose fault it is', async () => {
    await using server = await startFakeApiServer();
    server.faults.push({ what: 'POST jobs', status: 503, lasts: true });
    await using builds = await openBuilds(server, 1_000);
    const run = await builds.start('b');
    expect(await run.wait(builds.call)).toEqual({
      status: 'failed',
      reason: 'platform_error',
      message: "the cluster's API server was out of reach for too long",
    });
    expect(server.count('POST jobs')).toBe(7);
    expect(server.count('POST secrets')).toBe(0);
  }, 60_000);

  it('refuses a Job for good fails the build at once, with its words', async () => {
    await using server = await startFakeApiServer();
    server.faults.push({ what: 'POST jobs', status: 403 });
    await using builds = await openBuilds(server, 1_000);
    const run = await builds.start('b');
    expect(await run.wait(builds.call)).toMatchObject({
      reason: 'platform_error',
      message: expect.stringMatching(/^the cluster refused the build \(.*403: a fault\)$/),
    });
    expect(server.count('POST jobs')).toBe(1);
  });

  it('each request of a build once fails none', async () => {
    await using server = await startFakeApiServer();
    const busy = { status: 429, headers: { 'retry-after': '1' } };
    server.faults.push(
      { what: 'LIST jobs', status: 503 },
      { what: 'WATCH pods', ...busy },
      { what: 'POST jobs', ...busy },
      { what: 'POST jobs', status: 500 },
      { what: 'POST secrets', ...busy },
      { what: 'GET log', status: 429 },
      { what: 'DELETE jobs/build-b-1', status: 503 },
    );
    await using builds = await openBuilds(server, 1_000);
    const run = await builds.start('b');
    await until('its log is followed', () => server.logged() === 1);
    builds.push('b');
    expect(await run.wait(builds.call)).toMatchObject({ status: 'succeeded' });
    await until('its Job is removed', () => server.count('DELETE jobs/build-b-1') === 2);
    expect(server.count('POST jobs')).toBe(3);
    expect(server.faults).toEqual([]);
  });
});
