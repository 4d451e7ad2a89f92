import type { Logger, Registry } from '@cygni/core';
import type { BuildObjects } from '../cluster/build-objects.ts';
import type { ClusterConnection } from '../cluster/connection.ts';
import type { KanikoSettings } from '../options.ts';
import type { BuildWatches } from './observe.ts';

/** What all runs of one pipeline share. */
export interface RunContext {
  readonly settings: KanikoSettings;
  readonly registry: Registry;
  readonly connection: ClusterConnection;
  readonly objects: BuildObjects;
  readonly watches: BuildWatches;
  /** Aborts when the pipeline closes. Jobs go on. */
  readonly lifetime: AbortSignal;
  readonly log: Logger;
}
