import { type BuildOutcome, type FailureReason, isCygniError, type Logger } from '@cygni/core';

/** Whatever keeps a run from being supervised. What nobody foresaw is the platform's fault. */
export function outcomeOfError(error: unknown, log: Logger): BuildOutcome {
  log.error({ err: error }, 'a build could not be run');
  const [reason, message] = describe(error);
  return { status: 'failed', reason, message };
}

function describe(error: unknown): [FailureReason, string] {
  if (!isCygniError(error)) return ['platform_error', 'the builder failed'];
  if (error.code === 'invalid_configuration') return ['platform_error', error.message];
  if (error.code === 'unsupported') {
    return [
      'platform_error',
      'the artifact store gives out no addresses that a build can fetch its source from',
    ];
  }
  if (error.code === 'unavailable' || error.code === 'timeout' || error.code === 'rate_limited') {
    return ['platform_error', `a part of the platform was out of reach: ${error.message}`];
  }
  return ['platform_error', `the build could not be started: ${error.message}`];
}
