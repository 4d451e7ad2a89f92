import { describe, expect, it } from 'vitest';
import { until } from '../log/following.ts';
import { startFakeApiServer } from './fake-api-server.ts';
import { openBuilds } from './fake-builds.ts';

/** On a server that plays Kubernetes: no real one holds a thousand pods on one node. */
describe('a thousand builds', () => {
  it('cost one watch of each kind, and no request beyond those that each needs once', async () => {
    await using server = await startFakeApiServer();
    await using builds = await openBuilds(server, 10_000);
    const ids = Array.from({ length: 1_000 }, (_, index) => `b${index}`);
    const runs = await Promise.all(ids.map((id) => builds.start(id)));
    await until('all logs are followed', () => server.logged() === 1_000, 30_000);
    // Each pod says something, which each build hears of without having asked.
    const lines = runs.map((run) => run.logs({ after: 0 }, builds.call)[Symbol.asyncIterator]());
    for (const id of ids) {
      server.put('pods', `build-${id}-1-pod`, { status: { phase: 'Running' } });
      server.print(`build-${id}-1`, 'heard');
    }
    expect(await Promise.all(lines.map((log) => log.next()))).toHaveLength(1_000);
    // A log that says nothing for 15 s is opened anew, which a slow machine may come to see.
    const asked = () => server.received.filter(({ what }) => what !== 'GET log').length;
    expect(server.count('LIST')).toBe(2);
    expect(server.count('WATCH')).toBe(2);
    expect(server.count('POST jobs')).toBe(1_000);
    expect(server.count('POST secrets')).toBe(1_000);
    expect(asked()).toBe(2_004);

    for (const id of ids) server.remove('pods', `build-${id}-1-pod`);
    const outcomes = await Promise.all(runs.map((run) => run.wait(builds.call)));
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['failed']));
    await until('all Jobs are removed', () => server.count('DELETE jobs') === 1_000);
    expect(asked()).toBe(3_004);
  }, 60_000);
});

describe('the limit on requests', () => {
  it('holds up no cancellation, however many builds wait to be started', async () => {
    await using server = await startFakeApiServer();
    await using builds = await openBuilds(server, 5);
    const run = await builds.start('cancelled');
    await until('its log is followed', () => server.logged() === 1);
    for (let index = 0; index < 50; index += 1) await builds.start(`b${index}`);
    await run.cancel(builds.call);
    expect(await run.wait(builds.call)).toMatchObject({ reason: 'cancelled' });
    expect(server.count('DELETE jobs/build-cancelled-1')).toBe(1);
    // At five a second the others take 20 s.
    expect(server.count('POST')).toBeLessThan(40);
  });
});
