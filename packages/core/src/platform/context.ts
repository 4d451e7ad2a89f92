import type { ArtifactStore } from '../contracts/artifact-store.ts';
import type { BudgetPolicy } from '../contracts/budget-policy.ts';
import type { BuildPipeline } from '../contracts/build-pipeline.ts';
import type { Call, Logger } from '../contracts/call.ts';
import type { Deployer } from '../contracts/deployer.ts';
import type { Notifier } from '../contracts/notifier.ts';
import type { Queue } from '../contracts/queue.ts';
import type { Registry } from '../contracts/registry.ts';
import type { SourceFetcher } from '../contracts/source-fetcher.ts';
import type { Store } from '../contracts/store.ts';
import type { Bell } from './bell.ts';
import type { Clock } from './clock.ts';
import type { Metrics } from './metrics.ts';
import type { PlatformSettings } from './settings.ts';

export interface Adapters {
  readonly store: Store;
  readonly queue: Queue;
  readonly pipeline: BuildPipeline;
  readonly registry: Registry;
  readonly artifacts: ArtifactStore;
  readonly deployer: Deployer;
  readonly budget: BudgetPolicy;
  /** Whom events are told. At most one of them sends to endpoints of tenants. */
  readonly notifiers: readonly Notifier[];
  /** Null: sources are uploaded only. */
  readonly sourceFetcher: SourceFetcher | null;
}

/** What every part of the platform works with. */
export interface PlatformContext extends Adapters {
  readonly settings: PlatformSettings;
  readonly clock: Clock;
  readonly bell: Bell;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const lastWordsMs = 3_000;

/** A call for what must still be done after the caller's own signal has aborted: giving a claim back, ending a run. */
export function lastWords(log: Logger): Call {
  return { signal: AbortSignal.timeout(lastWordsMs), log };
}
