import {
  type Build,
  type Deployment,
  isTerminalBuildState,
  isTerminalDeploymentState,
} from '@cygni/core';
import { z } from 'zod';

export const conditionSchema = z.strictObject({
  type: z.enum(['Accepted', 'Started', 'Succeeded']),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().describe('For programs.'),
  message: z.string().describe('For people.'),
  lastTransitionTime: z.iso.datetime(),
});
export type Condition = z.output<typeof conditionSchema>;

export function buildConditions(build: Build): Condition[] {
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

export function deploymentConditions(deployment: Deployment): Condition[] {
  const { state, phase, evidence, createdAt, startedAt, finishedAt } = deployment;
  return [
    {
      type: 'Succeeded',
      status: outcomeStatus(isTerminalDeploymentState(state), state === 'SUCCEEDED'),
      reason: evidence?.rule ?? phase,
      message: evidence?.message ?? '',
      lastTransitionTime: finishedAt ?? startedAt ?? createdAt,
    },
  ];
}

function outcomeStatus(ended: boolean, succeeded: boolean): Condition['status'] {
  if (!ended) return 'Unknown';
  return succeeded ? 'True' : 'False';
}
