import type { HealthCheck, ProbeResult } from '../model/deployment.ts';
import type { Adapter, Call } from './call.ts';
import type { RepositoryLocation } from './registry.ts';

export interface ServiceKey {
  readonly tenantId: string;
  readonly service: string;
}

export interface RevisionKey extends ServiceKey {
  /** Numbered from 1 within the service. */
  readonly revision: number;
}

/** A revision with all that is needed to run it. Immutable: the same key always carries the same content. */
export interface DeployableRevision extends RevisionKey {
  readonly image: RepositoryLocation;
  readonly digest: string;
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Replaces the image's CMD; null keeps it. `$(NAME)` is replaced from the environment,
   * `PORT` included, and `$$(NAME)` is left as `$(NAME)`, as Kubernetes does for `args`.
   */
  readonly arguments: readonly string[] | null;
  readonly healthCheck: HealthCheck;
}

export type InstanceState = 'pending' | 'running' | 'exited';

/** One running copy of a revision, as it was found. */
export interface Instance {
  readonly id: string;
  readonly revision: number;
  readonly state: InstanceState;
  /** Why it is in this state, for people: `ImagePullBackOff`, `exit code 1`, `signal SIGKILL`. */
  readonly reason: string | null;
  /** The digest that really runs. */
  readonly digest: string | null;
  /** By the revision's health check with its thresholds. `unknown` until either threshold is reached. */
  readonly health: 'unknown' | 'healthy' | 'unhealthy';
  /** The newest results, oldest first, at most 20. */
  readonly probes: readonly ProbeResult[];
}

export interface TrafficTarget {
  readonly revision: number;
  /** Whole percent; all targets add up to 100. */
  readonly percent: number;
}

export interface ServiceObservation {
  readonly instances: readonly Instance[];
  readonly traffic: readonly TrafficTarget[];
  /** Where the service answers; null until it was routed once. */
  readonly url: string | null;
}

/**
 * Runs revisions and moves traffic between them. It reports; it never decides:
 * nothing is restarted, rolled back or re-routed on its own judgement.
 */
export interface Deployer extends Adapter {
  readonly supports: {
    /** Traffic can be split between revisions. */
    readonly split: boolean;
  };
  /** Starts the revision beside what runs already, without traffic. Idempotent; starts it again if it is gone. Returns once it was handed over, not once it is healthy. */
  apply(revision: DeployableRevision, call: Call): Promise<void>;
  observe(service: ServiceKey, call: Call): Promise<ServiceObservation>;
  /** Moves the traffic at once; requests in flight finish where they are. @throws `not_found` for a revision that was not applied, `unsupported` for a split where it cannot */
  route(service: ServiceKey, traffic: readonly TrafficTarget[], call: Call): Promise<void>;
  /** The newest log lines, oldest first; also of an instance that has exited, until its revision is removed. */
  tailLogs(revision: RevisionKey, lines: number, call: Call): Promise<readonly string[]>;
  /** Ends the revision: requests in flight may finish first (bounded), then its processes are gone. Removing what is not there succeeds. */
  remove(revision: RevisionKey, call: Call): Promise<void>;
}
