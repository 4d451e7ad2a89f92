import { abortedError, CygniError, isCygniError } from '@cygni/core';

/** Anything that was thrown, as a CygniError. Errors of the system that pass by themselves are retryable. */
export function mapError(error: unknown, what: string, signal?: AbortSignal): CygniError {
  if (isCygniError(error)) return error;
  if (signal?.aborted) return abortedError(signal);
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EMFILE' || code === 'ENFILE') {
    return new CygniError('unavailable', `${what}: ${code}`, { cause: error });
  }
  const text = error instanceof Error ? error.message : String(error);
  return new CygniError('internal', `${what}: ${text}`, { cause: error });
}

/** `ENOENT` and the like; undefined for errors that do not come from the system. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
