import { type BuildRun, CygniError, type Registry } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { until } from '../log/following.ts';
import { startFakeApiServer } from './fake-api-server.ts';
import { openBuilds } from './fake-builds.ts';

/** A build under way, on a registry that answers `answer` whenever it is asked for the image. */
async function build(answer: () => ReturnType<Registry['resolve']>) {
  await using cleanUp = new AsyncDisposableStack();
  const server = cleanUp.use(await startFakeApiServer());
  let asked = 0;
  const resolve = () => {
    asked += 1;
    return answer();
  };
  const builds = cleanUp.use(await openBuilds(server, 1_000, { resolve }));
  const run: BuildRun = await builds.start('b');
  await until('its log is followed', () => server.logged() === 1);
  const owned = cleanUp.move();
  return {
    say: () => builds.push('b'),
    untilAsked: (times: number) => until(`asked ${times} times`, () => asked === times),
    exit: (code: number) => server.exit('build-b-1', code),
    outcome: () => run.wait(builds.call),
    asked: () => asked,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const notFound = () => Promise.reject(new CygniError('not_found', 'no such tag'));
const image = (digit: string) => async () => ({
  digest: `sha256:${digit.repeat(64)}`,
  sizeBytes: 1,
  mediaType: '',
});

/** On a server that plays Kubernetes: kaniko itself says nothing that is not so. */
describe('a log that tells of a push which the registry does not confirm', () => {
  it('fails the build for the registry when kaniko ends with 0', async () => {
    await using one = await build(notFound);
    one.say();
    await one.untilAsked(1);
    one.exit(0);
    expect(await one.outcome()).toMatchObject({
      status: 'failed',
      reason: 'registry_unavailable',
      message: expect.stringContaining('the registry has no such image'),
    });
    expect(one.asked(), 'once for the line, and once for the end').toBe(2);
  });

  it('is asked about once for each claim, not for each line', async () => {
    await using one = await build(notFound);
    one.say();
    await one.untilAsked(1);
    one.say();
    one.exit(1);
    expect(await one.outcome()).toMatchObject({ status: 'failed' });
    expect(one.asked()).toBe(1);
  });

  it('of another digest than the registry has ends nothing: kaniko’s end does', async () => {
    await using one = await build(image('1'));
    one.say();
    await one.untilAsked(1);
    one.exit(0);
    expect(await one.outcome()).toMatchObject({
      status: 'succeeded',
      digest: `sha256:${'1'.repeat(64)}`,
    });
    expect(one.asked()).toBe(2);
  });
});

describe('a build that ends with 0 and tells of no push', () => {
  it('has succeeded if the registry has its image', async () => {
    await using one = await build(image('1'));
    one.exit(0);
    expect(await one.outcome()).toMatchObject({ status: 'succeeded' });
  });

  it('has failed for the registry if that has none', async () => {
    await using one = await build(notFound);
    one.exit(0);
    expect(await one.outcome()).toMatchObject({ reason: 'registry_unavailable' });
  });
});
