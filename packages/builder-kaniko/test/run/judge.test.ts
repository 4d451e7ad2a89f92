import type { V1Job, V1Pod, V1PodStatus } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import { judge } from '../../src/run/judge.ts';
import type { Observation } from '../../src/run/observe.ts';

const schedulingSeconds = 120;
const job: V1Job = { metadata: { name: 'build-b-1' } };
const container = (state: object) => ({
  containerStatuses: [{ name: 'kaniko', state }] as V1PodStatus['containerStatuses'],
});
const pod = (status: object): V1Pod => ({ metadata: { name: 'build-b-1-pod' }, status });
const condition = (type: string, status: string, reason: string) => ({ type, status, reason });

function standing(seen: Partial<Observation>) {
  const nothing = { job, jobGone: false, pod: null, podGone: false };
  return judge({ ...nothing, ...seen }, schedulingSeconds);
}
const of = (status: object) => standing({ pod: pod(status) });
const waiting = (reason: string) => of(container({ waiting: { reason, message: '' } }));

describe('a run', () => {
  it('is starting until its container runs, and goes on then', () => {
    expect(of({ phase: 'Pending' })).toEqual({ kind: 'goes-on', isStarting: true });
    expect(waiting('ContainerCreating')).toEqual({ kind: 'goes-on', isStarting: true });
    expect(of(container({ running: {} }))).toEqual({ kind: 'goes-on', isStarting: false });
  });

  it('is built when kaniko has ended with 0, whatever became of its pod', () => {
    const ended = pod(container({ terminated: { exitCode: 0 } }));
    expect(standing({ pod: ended })).toEqual({ kind: 'built' });
    expect(standing({ pod: ended, podGone: true, jobGone: true })).toEqual({ kind: 'built' });
  });

  it('has failed when kaniko has ended otherwise', () => {
    expect(of(container({ terminated: { exitCode: 7 } }))).toEqual({ kind: 'failed' });
  });

  it('is not over when the container beside kaniko has ended', () => {
    const beside = { name: 'registry-proxy', state: { terminated: { exitCode: 0 } } };
    expect(of({ containerStatuses: [beside] })).toEqual({ kind: 'goes-on', isStarting: true });
  });

  it.each([
    ['its pod has failed without a word of its containers', { pod: pod({ phase: 'Failed' }) }],
    ['its pod is gone', { pod: pod({ phase: 'Running' }), podGone: true }],
    ['its Job is gone', { pod: pod({ phase: 'Running' }), jobGone: true }],
    [
      'its Job has failed',
      {
        job: { ...job, status: { conditions: [condition('Failed', 'True', 'DeadlineExceeded')] } },
      },
    ],
  ])('has failed when %s', (_, seen) => {
    expect(standing(seen)).toEqual({ kind: 'failed' });
  });
});

describe('what keeps a run from starting', () => {
  it('is forgiven for as long as it may pass by itself', () => {
    const obstructed = (obstacle: string, seconds: number) => ({
      kind: 'obstructed',
      obstacle,
      graceMs: seconds * 1_000,
    });
    expect(standing({})).toEqual(obstructed('no pod', 10));
    expect(waiting('ErrImagePull')).toEqual(obstructed('image', 5));
    expect(waiting('ImagePullBackOff')).toEqual(obstructed('image', 5));
    expect(waiting('CreateContainerConfigError')).toEqual(obstructed('configuration', 30));
    const unschedulable = condition('PodScheduled', 'False', 'Unschedulable');
    expect(of({ conditions: [unschedulable] })).toEqual(
      obstructed('unschedulable', schedulingSeconds),
    );
    const conditions = [
      condition('PodScheduled', 'True', ''),
      condition('PodReadyToStartContainers', 'False', ''),
    ];
    expect(of({ phase: 'Pending', conditions })).toEqual(
      obstructed('unprepared', schedulingSeconds),
    );
    // As of a pod whose containers are being ended.
    expect(of({ phase: 'Running', conditions })).toMatchObject({ kind: 'goes-on' });
  });

  it.each(['InvalidImageName', 'ErrImageNeverPull'])(
    'is final at once where it is %s',
    (reason) => {
      expect(waiting(reason)).toMatchObject({ kind: 'obstructed', graceMs: 0 });
    },
  );
});
