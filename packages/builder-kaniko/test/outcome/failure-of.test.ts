import { describe, expect, it } from 'vitest';
import { type FailureEvidence, failureOf } from '../../src/outcome/failure-of.ts';
import { whyNotStarted } from '../../src/outcome/why-not-started.ts';
import { factsOf } from '../log/read-captured-log.ts';
import { pods } from './pods.ts';

const nothing: FailureEvidence = {
  endedBy: null,
  timeoutSeconds: 600,
  machine: { name: 'small', memory: '2 GiB', disk: '10 GiB' },
  dockerfile: 'app/Dockerfile',
  container: 'build',
  refusal: null,
  podRefusal: null,
  pod: null,
  job: null,
  jobVanished: false,
  clusterUnreachable: false,
  facts: null,
};
const of = (evidence: Partial<FailureEvidence>) => failureOf({ ...nothing, ...evidence });
const ofLog = (file: string) => of({ facts: factsOf(file), pod: pods.failed });

describe('the failure that stands in a log of kaniko', () => {
  it.each([
    [
      'unknown-instruction.text.log',
      'user_error',
      /^app\/Dockerfile line 2: unknown instruction: FROB/,
    ],
    [
      'bad-env.text.log',
      'user_error',
      /^app\/Dockerfile line 2: ENV requires at least one argument$/,
    ],
    ['empty.text.log', 'user_error', /^app\/Dockerfile: file with no instructions$/],
    ['no-from.text.log', 'user_error', /^app\/Dockerfile: no build stage/],
    ['no-target.text.log', 'user_error', /^app\/Dockerfile has no stage "nope"$/],
    ['dockerfile-missing.text.log', 'user_error', /no Dockerfile at "app\/Dockerfile"/],
    ['run-exit-7.text.log', 'user_error', /^RUN echo before; .* exited with code 7$/],
    ['run-exit-7.json.log', 'user_error', /^RUN echo before; .* exited with code 7$/],
    ['run-exit-137.text.log', 'user_error', /exited with code 137, .* memory/],
    ['run-not-found.text.log', 'user_error', /^RUN nosuchprogram --x exited with code 127$/],
    ['run-signal.text.log', 'user_error', /ended by the signal "terminated"$/],
    ['exec-not-found.text.log', 'user_error', /could not be started: \/nosuch: no such file/],
    ['unknown-user.text.log', 'user_error', /^RUN id: .*nobody99/],
    ['forged.text.log', 'user_error', /exited with code 3$/],
    ['copy-missing.text.log', 'user_error', /^COPY nope\.txt \/: the source has no such file/],
    ['add-unreachable.text.log', 'user_error', /^ADD http:.* connection refused$/],
    ['context-corrupt.text.log', 'user_error', /archive could not be unpacked/],
    [
      'context-404.text.log',
      'platform_error',
      /archive could not be fetched: .*connection refused/,
    ],
    ['context-gone.text.log', 'platform_error', /archive could not be fetched: .*404 Not Found$/],
    [
      'context-expired.text.log',
      'platform_error',
      /archive could not be fetched: .*403 Forbidden$/,
    ],
    ['base-not-found.text.log', 'image_pull', /^the base image nosuch:1 was not found/],
    ['base-not-found.json.log', 'image_pull', /^the base image nosuch:1 was not found/],
    ['base-not-found-direct.text.log', 'image_pull', /nosuch\/image:1 was not found/],
    ['copy-from-missing.text.log', 'image_pull', /^the base image nope was not found/],
    ['base-unauthorized.text.log', 'image_pull', /^access to the base image .* was refused/],
    ['base-denied.text.log', 'image_pull', /^access to the base image .* was refused/],
    ['base-limited.text.log', 'image_pull', /could not be pulled: .*TOOMANYREQUESTS/],
    ['base-broken.text.log', 'image_pull', /could not be pulled: .*500 Internal Server Error/],
    ['base-unreachable.text.log', 'image_pull', /could not be pulled: .*connection refused/],
    ['base-invalid.text.log', 'image_pull', /no valid name/],
    ['push-unauthorized.text.log', 'registry_auth', /registry refused the push/],
    ['push-denied.text.log', 'registry_auth', /registry refused the push/],
    ['push-denied-manifest.text.log', 'registry_auth', /registry refused the push/],
    ['push-unavailable.text.log', 'registry_unavailable', /registry could not take the image/],
    ['push-unreachable.text.log', 'registry_unavailable', /connection refused/],
    ['push-timeout.text.log', 'registry_unavailable', /i\/o timeout/],
  ] as const)('%s is %s', (file, reason, message) => {
    expect(ofLog(file)).toEqual({ reason, message: expect.stringMatching(message) });
  });
});

describe('memory', () => {
  it('is the reason where the cluster says so, whatever the exit code', () => {
    expect(of({ pod: pods.outOfMemory, facts: factsOf('oom.text.log') })).toEqual({
      reason: 'oom',
      message:
        'the build needed more memory than the 2 GiB of the machine "small": use less, or choose a larger machine',
    });
  });

  it('is the reason where only the RUN step was killed and the container says Error', () => {
    expect(of({ pod: pods.failed, facts: factsOf('oom.text.log') })).toMatchObject({
      reason: 'oom',
    });
  });
});

describe('what the cluster did', () => {
  it('names the image that can’t be pulled, as a fault of the platform', () => {
    const failure = of({ pod: pods.imageMissing });
    expect(failure.reason).toBe('platform_error');
    expect(failure.message).toMatch(
      /^the image registry\.test\/kaniko:v9 can't be pulled \(ErrImagePull: .*not found/,
    );
    expect(whyNotStarted(pods.imageMissing)?.kind).toBe('image');
    expect(whyNotStarted(pods.imageNameInvalid)?.kind).toBe('image');
  });

  it.each([
    ['secretMissing', /container build can't be started .*secret "nope" not found/],
    ['unschedulable', /no node of the cluster has room .*Insufficient cpu/],
    ['programMissing', /ended with code 128 .*StartError/],
    ['killed', /ended with code 137/],
  ] as const)('%s is platform_error', (pod, message) => {
    expect(of({ pod: pods[pod] })).toEqual({
      reason: 'platform_error',
      message: expect.stringMatching(message),
    });
  });

  it('tells a build that filled its disk from one that was in the cluster’s way', () => {
    expect(of({ pod: pods.diskFull })).toMatchObject({
      reason: 'user_error',
      message: expect.stringContaining('10 GiB'),
    });
    expect(of({ pod: pods.evicted, jobVanished: true })).toEqual({
      reason: 'evicted',
      message: 'the cluster evicted the build (Eviction API: evicting)',
    });
  });

  it('is a quota, whether it refused the Job or the pod', () => {
    const said = 'jobs.batch "b" is forbidden: exceeded quota: q, requested: count/jobs.batch=1';
    for (const evidence of [{ refusal: { status: 403, message: said } }, { podRefusal: said }]) {
      expect(of(evidence)).toMatchObject({
        reason: 'platform_error',
        message: expect.stringContaining('quota'),
      });
    }
  });

  it('is a Job that someone else deleted', () => {
    expect(of({ jobVanished: true, pod: pods.killed })).toEqual({
      reason: 'platform_error',
      message: 'the build was removed from the cluster by someone else',
    });
  });

  it('is still the build’s own failure, where the Job vanished after it', () => {
    expect(of({ jobVanished: true, facts: factsOf('run-exit-7.text.log') }).reason).toBe(
      'user_error',
    );
  });

  it('is silence, where the API server is gone', () => {
    expect(of({ clusterUnreachable: true })).toMatchObject({
      reason: 'platform_error',
      message: expect.stringContaining('API server'),
    });
    expect(of({}).reason).toBe('platform_error');
  });
});

describe('what this side did', () => {
  it('comes before all that it caused', () => {
    const evidence = { pod: pods.outOfMemory, jobVanished: true, facts: factsOf('oom.text.log') };
    expect(of({ ...evidence, endedBy: 'cancel' }).reason).toBe('cancelled');
    expect(of({ ...evidence, endedBy: 'deadline' })).toEqual({
      reason: 'deadline',
      message: 'the build did not end within its timeout of 600 seconds',
    });
  });

  it('is a deadline too where the cluster kept it', () => {
    expect(of({ pod: pods.deadline }).reason).toBe('deadline');
    const conditions = [{ type: 'Failed', status: 'True', reason: 'DeadlineExceeded' }];
    expect(of({ job: { conditions } }).reason).toBe('deadline');
  });
});
