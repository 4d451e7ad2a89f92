import {
  type BuildJob,
  type Call,
  isCygniError,
  type Registry,
  type ResolvedImage,
} from '@cygni/core';
import pRetry from 'p-retry';
import { attemptTag } from '../job/names.ts';

/**
 * What the registry has under the attempt's own tag, which nobody else pushes to; null: nothing, or it does not say.
 * @throws `aborted` or `timeout`, as the call's signal says
 */
export async function resolvePushed(
  job: BuildJob,
  registry: Registry,
  retries: number,
  call: Call,
): Promise<ResolvedImage | null> {
  const tag = attemptTag(job.buildId, job.attempt);
  try {
    return await pRetry(() => registry.resolve(job.destination.repository, tag, call), {
      retries,
      minTimeout: 200,
      maxTimeout: 3_000,
      randomize: true,
      signal: call.signal,
      shouldRetry: ({ error }) => isCygniError(error) && error.retryable,
    });
  } catch (error) {
    if (call.signal.aborted || !isCygniError(error)) throw error;
    if (error.code !== 'not_found') call.log.warn({ err: error, tag }, 'a push was not confirmed');
    return null;
  }
}
