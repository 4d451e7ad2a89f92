import { abortedError, type FailureReason, isCygniError } from '@cygni/core';

/** Ends a run with a reason of the taxonomy. Stays inside this package: `wait` turns it into an outcome. */
export class BuildFault extends Error {
  override readonly name = 'BuildFault';
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
  }
}

export function userError(message: string, cause?: unknown): BuildFault {
  return new BuildFault('user_error', message, { cause });
}

/** A fault that names its place in the Dockerfile. `line` starts at 1. */
export function dockerfileError(line: number, message: string, cause?: unknown): BuildFault {
  return userError(`Dockerfile line ${line}: ${message}`, cause);
}

export function isBuildFault(error: unknown): error is BuildFault {
  return error instanceof BuildFault;
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal);
}

/** Runs one exchange with the registry that the image comes from, and says whose fault a failure is. */
export async function pulling<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isCygniError(error) || error.code === 'aborted') throw error;
    // A base image is the tenant's choice: whatever keeps its registry from serving it counts as a pull failure.
    throw new BuildFault('image_pull', `cannot pull ${what}: ${error.message}`, { cause: error });
  }
}

/** Runs one exchange with the registry that the image goes to, and says whose fault a failure is. */
export async function pushing<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isCygniError(error) || error.code === 'aborted') throw error;
    const message = `cannot push ${what}: ${error.message}`;
    switch (error.code) {
      case 'unauthenticated':
      case 'forbidden':
        throw new BuildFault('registry_auth', message, { cause: error });
      case 'unavailable':
      case 'timeout':
      case 'rate_limited':
        throw new BuildFault('registry_unavailable', message, { cause: error });
      default:
        throw new BuildFault('platform_error', message, { cause: error });
    }
  }
}
