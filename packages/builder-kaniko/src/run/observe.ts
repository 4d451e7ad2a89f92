import type { V1Job, V1Pod } from '@kubernetes/client-node';
import type { ObjectWatch } from '../cluster/watch-objects.ts';
import type { Change } from './signal-change.ts';

/** What the watches say about one run. Objects stay as they were seen last. */
export interface Observation {
  readonly job: V1Job | null;
  /** The watch saw the Job go. */
  readonly jobGone: boolean;
  readonly pod: V1Pod | null;
  readonly podGone: boolean;
}

export interface Observer {
  now(): Observation;
  stop(): void;
}

export interface BuildWatches {
  /** By name. */
  readonly jobs: ObjectWatch<V1Job>;
  /** By the name of their Job. */
  readonly pods: ObjectWatch<V1Pod>;
}

export function observe({ jobs, pods }: BuildWatches, name: string, change: Change): Observer {
  let job = jobs.get(name) ?? null;
  let pod = pods.get(name) ?? null;
  let jobGone = false;
  let podGone = false;
  const stops = [
    jobs.subscribe(name, (value) => {
      job = value ?? job;
      jobGone = value === undefined;
      change.happened();
    }),
    pods.subscribe(name, (value) => {
      pod = value ?? pod;
      podGone = value === undefined;
      change.happened();
    }),
  ];
  return {
    now: () => ({ job, jobGone, pod, podGone }),
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}
