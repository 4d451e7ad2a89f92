import type { BuildOutcome, Logger } from '@cygni/core';
import { isBuildFault } from './build-fault.ts';

/** Turns whatever ended a run into its outcome. What nobody foresaw is the platform's fault, and logged with its cause. */
export function outcomeOf(error: unknown, log: Logger): BuildOutcome {
  if (isBuildFault(error)) {
    if (error.reason === 'platform_error') log.error({ err: error }, 'build failed');
    return { status: 'failed', reason: error.reason, message: error.message };
  }
  log.error({ err: error }, 'build failed for an unforeseen reason');
  return { status: 'failed', reason: 'platform_error', message: 'the builder failed' };
}
