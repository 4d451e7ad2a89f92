import { forPeople } from '../log/for-people.ts';
import { conditionOf, type PodEvidence } from './pod-evidence.ts';

/** What keeps a pod from starting. It may still pass: how long to wait is for the caller to say. */
export interface StartObstacle {
  readonly kind: 'image' | 'configuration' | 'unschedulable' | 'unprepared';
  readonly message: string;
}

const imageReasons = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ErrImageInspect',
  'RegistryUnavailable',
]);
const configurationReasons = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);

/**
 * Reads from a pod what a Job never tells: an image that can't be pulled, a Secret that is missing, no room on any node, a node
 * that makes nothing of it.
 */
export function whyNotStarted(pod: PodEvidence): StartObstacle | null {
  const { status, spec } = pod;
  const named = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const { name, image, state } of statuses) {
    const { reason = '', message = '' } = state?.waiting ?? {};
    const said = message === '' ? reason : `${reason}: ${forPeople(message, 300)}`;
    if (imageReasons.has(reason)) {
      const wanted = named.find((container) => container.name === name)?.image ?? image;
      return { kind: 'image', message: `the image ${wanted} can't be pulled (${said})` };
    }
    if (configurationReasons.has(reason)) {
      return { kind: 'configuration', message: `the container ${name} can't be started (${said})` };
    }
  }
  const scheduled = conditionOf(status?.conditions, 'PodScheduled');
  if (scheduled?.status === 'True') return whyNotPrepared(pod);
  if (scheduled?.reason !== 'Unschedulable') return null;
  const said = forPeople(scheduled.message ?? 'no reason given', 300);
  return {
    kind: 'unschedulable',
    message: `no node of the cluster has room for the build (${said})`,
  };
}

/** A volume whose Secret is missing shows nowhere else in a pod: its containers are said to be creating. */
function whyNotPrepared({ status }: PodEvidence): StartObstacle | null {
  const prepared = conditionOf(status?.conditions, 'PodReadyToStartContainers');
  if (status?.phase !== 'Pending' || prepared?.status !== 'False') return null;
  return {
    kind: 'unprepared',
    message: "the node could not prepare the build's volumes and network",
  };
}
