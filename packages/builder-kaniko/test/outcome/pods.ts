import type { PodEvidence } from '../../src/outcome/pod-evidence.ts';

const spec = { containers: [{ name: 'build', image: 'registry.test/kaniko:v9' }] };
const scheduled = { type: 'PodScheduled', status: 'True' };

function waiting(reason: string, message: string): PodEvidence {
  return {
    spec,
    status: {
      phase: 'Pending',
      conditions: [scheduled],
      containerStatuses: [
        {
          name: 'build',
          image: 'registry.test/kaniko:v9',
          state: { waiting: { reason, message } },
        },
      ],
    },
  };
}

function terminated(exitCode: number, reason: string, message?: string): PodEvidence {
  return {
    spec,
    status: {
      phase: 'Failed',
      conditions: [scheduled],
      containerStatuses: [{ name: 'build', state: { terminated: { exitCode, reason, message } } }],
    },
  };
}

const killed = terminated(137, 'Error');

/** Pods as Kubernetes 1.34 showed them, each fault caused on a cluster; hosts renamed, and cut to what is read. */
export const pods = {
  imageMissing: waiting(
    'ErrImagePull',
    'rpc error: code = NotFound desc = failed to pull and unpack image "registry.test/kaniko:v9": failed to resolve reference "registry.test/kaniko:v9": registry.test/kaniko:v9: not found',
  ),
  imageNameInvalid: waiting(
    'InvalidImageName',
    `Failed to apply default image tag "Not A Name": couldn't parse image name "Not A Name": invalid reference format: repository name (library/Not A Name) must be lowercase`,
  ),
  secretMissing: waiting('CreateContainerConfigError', 'secret "nope" not found'),
  unschedulable: {
    spec,
    status: {
      phase: 'Pending',
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message:
            '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
        },
      ],
    },
  },
  programMissing: terminated(
    128,
    'StartError',
    'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory: unknown',
  ),
  failed: terminated(1, 'Error'),
  killed,
  outOfMemory: terminated(255, 'OOMKilled'),
  deadline: {
    ...killed,
    status: {
      ...killed.status,
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    },
  },
  diskFull: {
    ...terminated(2, 'Error'),
    status: {
      ...terminated(2, 'Error').status,
      reason: 'Evicted',
      message: 'Pod ephemeral local storage usage exceeds the total limit of containers 100Mi. ',
    },
  },
  evicted: {
    ...killed,
    metadata: { deletionTimestamp: '2026-11-24T18:23:52Z' },
    status: {
      ...killed.status,
      conditions: [
        scheduled,
        {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'EvictionByEvictionAPI',
          message: 'Eviction API: evicting',
        },
      ],
    },
  },
} satisfies Record<string, PodEvidence>;
