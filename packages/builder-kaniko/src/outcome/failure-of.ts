import type { FailureReason } from '@cygni/core';
import { forPeople } from '../log/for-people.ts';
import type { KanikoFacts } from '../log/read-kaniko-log.ts';
import { failureOfKaniko } from './failure-of-kaniko.ts';
import { type Condition, conditionOf, type PodEvidence, terminationOf } from './pod-evidence.ts';
import { whyNotStarted } from './why-not-started.ts';

export interface Failure {
  readonly reason: FailureReason;
  /** A sentence that whoever started the build can act on. */
  readonly message: string;
}

/** What is known of a run that did not succeed. Whatever is not known is null. */
export interface FailureEvidence {
  /** Why this side ended the run; null: it did not. */
  readonly endedBy: 'cancel' | 'deadline' | null;
  readonly timeoutSeconds: number;
  /** As a person would write it: `2 GiB`. */
  readonly machine: { readonly name: string; readonly memory: string; readonly disk: string };
  /** Path of the Dockerfile inside the context. */
  readonly dockerfile: string;
  /** Name of the container that runs kaniko. */
  readonly container: string;
  /** What the API server said when it refused the Job for good. */
  readonly refusal: { readonly status: number; readonly message: string } | null;
  /** What the Job controller said when it could make no pod: the message of the event `FailedCreate`. */
  readonly podRefusal: string | null;
  /** As seen last. */
  readonly pod: PodEvidence | null;
  readonly job: { readonly conditions?: readonly Condition[] | undefined } | null;
  /** The Job was there and is no more, and this side did not delete it. */
  readonly jobVanished: boolean;
  /** The API server was out of reach for longer than a run is waited for. */
  readonly clusterUnreachable: boolean;
  readonly facts: KanikoFacts | null;
}

/**
 * The one reason for which a run failed, and a sentence about it. Goes from what this side did, over what the cluster says,
 * to what kaniko's log says, since a RUN step can forge only the last.
 */
export function failureOf(evidence: FailureEvidence): Failure {
  return (
    failureOfOurs(evidence) ??
    failureOfPod(evidence) ??
    failureOfLog(evidence) ??
    failureOfStart(evidence) ??
    failureOfRest(evidence)
  );
}

function failureOfOurs(evidence: FailureEvidence): Failure | null {
  const { endedBy, timeoutSeconds, job, pod } = evidence;
  if (endedBy === 'cancel') return { reason: 'cancelled', message: 'the build was cancelled' };
  const late =
    conditionOf(job?.conditions, 'Failed')?.reason === 'DeadlineExceeded' ||
    pod?.status?.reason === 'DeadlineExceeded';
  if (endedBy !== 'deadline' && !late) return null;
  const message = `the build did not end within its timeout of ${timeoutSeconds} seconds`;
  return { reason: 'deadline', message };
}

function failureOfPod({ pod, container, machine }: FailureEvidence): Failure | null {
  const { reason, message = '', conditions } = pod?.status ?? {};
  const disruption = conditionOf(conditions, 'DisruptionTarget');
  if (reason === 'Evicted' && /ephemeral.*exceeds|exceeds.*ephemeral/i.test(message)) {
    return {
      reason: 'user_error',
      message: `the build wrote more to disk than the ${machine.disk} of the machine "${machine.name}": write less, or choose a larger machine`,
    };
  }
  if (reason === 'Evicted' || disruption?.status === 'True') {
    const why = forPeople(message || disruption?.message || disruption?.reason || '', 300);
    return { reason: 'evicted', message: `the cluster evicted the build${why && ` (${why})`}` };
  }
  if (reason === 'NodeLost' || reason === 'NodeShutdown' || reason === 'Terminated') {
    return { reason: 'evicted', message: 'the node that ran the build was lost or shut down' };
  }
  if (terminationOf(pod, container)?.reason !== 'OOMKilled') return null;
  return { reason: 'oom', message: outOfMemory(machine) };
}

function failureOfLog({ facts, machine, dockerfile }: FailureEvidence): Failure | null {
  if (!facts?.failure) return null;
  return failureOfKaniko(facts.failure, facts, {
    dockerfile,
    outOfMemory: outOfMemory(machine),
    memory: machine.memory,
  });
}

function failureOfStart({ refusal, podRefusal, pod, container }: FailureEvidence): Failure | null {
  const said = refusal?.message ?? podRefusal;
  if (said !== null) {
    const why = forPeople(said, 300);
    const quota = /exceeded quota|forbidden: maximum|limited: /i.test(said);
    const message = quota
      ? `a quota of the cluster leaves no room for the build (${why})`
      : `the cluster refused the build (${why})`;
    return { reason: 'platform_error', message };
  }
  if (!pod || terminationOf(pod, container)) return null;
  // The tenant chose neither the images of the builder nor the size of the cluster.
  const obstacle = whyNotStarted(pod);
  return (
    obstacle && {
      reason: 'platform_error',
      message: `${obstacle.message}; the build did not start`,
    }
  );
}

function failureOfRest(evidence: FailureEvidence): Failure {
  const { jobVanished, clusterUnreachable, pod, container } = evidence;
  const fault = (message: string): Failure => ({ reason: 'platform_error', message });
  if (jobVanished || pod?.metadata?.deletionTimestamp) {
    return fault('the build was removed from the cluster by someone else');
  }
  if (clusterUnreachable) return fault("the cluster's API server was out of reach for too long");
  const ended = terminationOf(pod, container);
  if (!ended) return fault('the cluster ended the build without saying why');
  const said = [ended.reason, ended.message && forPeople(ended.message, 300)].filter(Boolean);
  return fault(
    `the builder ended with code ${ended.exitCode} without saying why (${said.join(': ')})`,
  );
}

function outOfMemory({ name, memory }: FailureEvidence['machine']): string {
  return `the build needed more memory than the ${memory} of the machine "${name}": use less, or choose a larger machine`;
}
