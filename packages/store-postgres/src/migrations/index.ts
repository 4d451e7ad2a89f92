import { truth } from './0001_truth.ts';
import { dispatch } from './0002_dispatch.ts';
import { budgetAlerts } from './0003_budget_alerts.ts';
import { retention } from './0004_retention.ts';
import { logArchives } from './0005_log_archives.ts';
import { logCompression } from './0006_log_compression.ts';
import { runs } from './0007_runs.ts';
import { buildCache } from './0008_build_cache.ts';
import { webhooksAndGit } from './0009_webhooks_and_git.ts';
import { traces } from './0010_traces.ts';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** In order. One that was released is never changed: the next one is added. */
export const migrations: readonly Migration[] = [
  truth,
  dispatch,
  budgetAlerts,
  retention,
  logArchives,
  logCompression,
  runs,
  buildCache,
  webhooksAndGit,
  traces,
];
