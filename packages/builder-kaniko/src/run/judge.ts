import { buildContainer } from '../job/manifest.ts';
import { terminationOf } from '../outcome/pod-evidence.ts';
import { whyNotStarted } from '../outcome/why-not-started.ts';
import type { Observation } from './observe.ts';

/** How a run stands, by what the cluster says. */
export type Standing =
  | { readonly kind: 'goes-on'; readonly isStarting: boolean }
  /** kaniko has ended with 0. */
  | { readonly kind: 'built' }
  | { readonly kind: 'failed' }
  /** It may still pass; it fails if it lasts for so long. */
  | { readonly kind: 'obstructed'; readonly obstacle: string; readonly graceMs: number };

/** An image that is not found comes up once more by itself only if its registry was down for a moment. */
const imageGraceMs = 5_000;
/** A Secret that comes a moment after its Job. */
const configurationGraceMs = 30_000;
const noPodGraceMs = 10_000;
/** These do not pass. */
const final = /\((InvalidImageName|ErrImageNeverPull)\b/;

export function judge(seen: Observation, schedulingSeconds: number): Standing {
  const { job, jobGone, pod, podGone } = seen;
  const ended = terminationOf(pod, buildContainer);
  if (ended) return ended.exitCode === 0 ? { kind: 'built' } : { kind: 'failed' };
  if (pod?.status?.phase === 'Failed' || podGone || jobGone) return { kind: 'failed' };
  const isOver = job?.status?.conditions?.some(
    ({ type, status }) => type === 'Failed' && status === 'True',
  );
  if (isOver) return { kind: 'failed' };
  if (!pod) return { kind: 'obstructed', obstacle: 'no pod', graceMs: noPodGraceMs };
  const obstacle = whyNotStarted(pod);
  if (obstacle) {
    const graces = {
      image: final.test(obstacle.message) ? 0 : imageGraceMs,
      configuration: configurationGraceMs,
      unschedulable: schedulingSeconds * 1_000,
      // A node that is given many pods at once takes minutes to make their sandboxes.
      unprepared: schedulingSeconds * 1_000,
    };
    return { kind: 'obstructed', obstacle: obstacle.kind, graceMs: graces[obstacle.kind] };
  }
  const isRunning = pod.status?.containerStatuses?.some(
    ({ name, state }) => name === buildContainer && state?.running,
  );
  return { kind: 'goes-on', isStarting: !isRunning };
}
