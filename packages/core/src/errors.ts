const brand = Symbol.for('cygni.error');

/**
 * The closed list of what can go wrong, as a program sees it.
 * An HTTP status, a retry decision and a metric label all derive from it.
 */
export type ErrorCode =
  | 'invalid_input'
  | 'invalid_configuration'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'precondition_failed'
  | 'idempotency_mismatch'
  | 'budget_exceeded'
  | 'rate_limited'
  | 'too_large'
  | 'integrity'
  | 'lease_lost'
  | 'unsupported'
  | 'unavailable'
  | 'timeout'
  | 'aborted'
  | 'closed'
  | 'internal';

/** One place in an input that was refused. `pointer` is a JSON pointer (RFC 6901). */
export interface InputIssue {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/** What a caller over its cap is told. Amounts are micro-units of `currency`. */
export interface BudgetFigures {
  readonly currency: string;
  readonly limit: number;
  readonly spent: number;
  readonly reserved: number;
  readonly estimate: number;
  /** ISO 8601; null where the period has no end. */
  readonly resetsAt: string | null;
}

export interface CygniErrorOptions {
  readonly cause?: unknown;
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retryable?: boolean;
  readonly issues?: readonly InputIssue[];
  readonly budget?: BudgetFigures;
}

/** The one error class. Test it with {@link isCygniError}, never with `instanceof`: two copies of this package may be loaded. */
export class CygniError extends Error {
  override readonly name = 'CygniError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly issues: readonly InputIssue[];
  readonly budget: BudgetFigures | undefined;

  constructor(code: ErrorCode, message: string, options: CygniErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? (code === 'unavailable' || code === 'timeout');
    this.issues = options.issues ?? [];
    this.budget = options.budget;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** What a store throws where a resource is not as the caller expected it. */
export function preconditionError(): CygniError {
  return new CygniError('precondition_failed', 'the resource has changed since it was read');
}

export function isCygniError(error: unknown, code?: ErrorCode): error is CygniError {
  if (typeof error !== 'object' || error === null || !(brand in error)) return false;
  return code === undefined || ('code' in error && error.code === code);
}

/** The error that an aborted call rejects with. */
export function abortedError(signal: AbortSignal): CygniError {
  const reason: unknown = signal.reason;
  if (isCygniError(reason)) return reason;
  const timedOut = reason instanceof Error && reason.name === 'TimeoutError';
  return new CygniError(timedOut ? 'timeout' : 'aborted', timedOut ? 'timed out' : 'aborted', {
    cause: reason,
  });
}
