import {
  type Build,
  type Deployment,
  isTerminalBuildState,
  isTerminalDeploymentState,
} from '@cygni/core';

interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

/** A build as the API shows it: the stored resource, the image's whole reference and the conditions. */
export function viewBuild(build: Build, registryHost: string) {
  const { image } = build;
  return {
    ...build,
    image: image && {
      ...image,
      reference: `${registryHost}/${image.repository}@${image.digest}`,
    },
    conditions: buildConditions(build),
  };
}

function buildConditions(build: Build): Condition[] {
  const conditions: Condition[] = [
    {
      type: 'Accepted',
      status: 'True',
      reason: 'BudgetReserved',
      message: `${build.estimate} micro-${build.currency} reserved`,
      lastTransitionTime: build.createdAt,
    },
  ];
  if (build.startedAt !== null) {
    conditions.push({
      type: 'Started',
      status: 'True',
      reason: 'Claimed',
      message: `attempt ${build.attempt} of at most ${build.maximumAttempts}`,
      lastTransitionTime: build.startedAt,
    });
  }
  conditions.push({
    type: 'Succeeded',
    status: outcomeStatus(isTerminalBuildState(build.state), build.state === 'SUCCEEDED'),
    reason: build.failure?.reason ?? build.state,
    message: build.failure?.message ?? '',
    lastTransitionTime: build.finishedAt ?? build.startedAt ?? build.createdAt,
  });
  return conditions;
}

export function viewDeployment(deployment: Deployment) {
  return {
    ...deployment,
    conditions: [
      {
        type: 'Succeeded',
        status: outcomeStatus(
          isTerminalDeploymentState(deployment.state),
          deployment.state === 'SUCCEEDED',
        ),
        reason: deployment.evidence?.rule ?? deployment.phase,
        message: deployment.evidence?.message ?? '',
        lastTransitionTime: deployment.finishedAt ?? deployment.startedAt ?? deployment.createdAt,
      },
    ] satisfies Condition[],
  };
}

function outcomeStatus(ended: boolean, succeeded: boolean): Condition['status'] {
  if (!ended) return 'Unknown';
  return succeeded ? 'True' : 'False';
}
