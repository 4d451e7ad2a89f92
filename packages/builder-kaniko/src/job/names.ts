import { createHash } from 'node:crypto';
import type { RunName } from '@cygni/core';
import type { V1Job } from '@kubernetes/client-node';

export const buildSelector = 'app.kubernetes.io/managed-by=cygni,app.kubernetes.io/component=build';
export const buildIdAnnotation = 'cygni.dev/build-id';
const attemptLabel = 'cygni.dev/attempt';

/** As a name or a label of Kubernetes takes it: as it is where that is safe, else hashed. */
function safe(text: string): string {
  return /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(text)
    ? text
    : createHash('sha256').update(text).digest('hex').slice(0, 40);
}

/** The name of the Job, and of its Secret. Pure, so that another process finds them again. */
export function jobName(buildId: string, attempt: number): string {
  return `build-${safe(buildId)}-${attempt}`;
}

/** The tag that kaniko pushes to: nobody else's, so that it proves what this attempt has built. */
export function attemptTag(buildId: string, attempt: number): string {
  return `attempt-${safe(buildId)}-${attempt}`;
}

/** What a Job's name is made of; null: it is none of ours. */
export function runNameOf({ metadata }: V1Job): RunName | null {
  const buildId = metadata?.annotations?.[buildIdAnnotation];
  const attempt = Number(metadata?.labels?.[attemptLabel]);
  if (buildId === undefined || !Number.isSafeInteger(attempt)) return null;
  return metadata?.name === jobName(buildId, attempt) ? { buildId, attempt } : null;
}

export function labelsOf(job: {
  readonly buildId: string;
  readonly attempt: number;
  readonly tenantId: string;
}): Record<string, string> {
  return {
    'app.kubernetes.io/managed-by': 'cygni',
    'app.kubernetes.io/component': 'build',
    'cygni.dev/build': safe(job.buildId),
    [attemptLabel]: String(job.attempt),
    'cygni.dev/tenant': safe(job.tenantId),
  };
}
