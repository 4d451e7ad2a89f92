/** A registry's answer that is not the one hoped for. Stays inside this package: `mapError` turns it into a CygniError. */
export class ResponseFailure extends Error {
  override readonly name = 'ResponseFailure';
  readonly status: number;
  /** The codes of the spec's error body: `MANIFEST_UNKNOWN` … */
  readonly codes: readonly string[];
  readonly retryAfterMs: number | undefined;
  /** Whether the same request may well succeed in a moment. */
  readonly transient: boolean;

  constructor(
    status: number,
    codes: readonly string[],
    retryAfterMs: number | undefined,
    transient = status === 429 || status >= 500,
  ) {
    super(`status ${status}${codes.length > 0 ? ` (${codes.join(', ')})` : ''}`);
    this.status = status;
    this.codes = codes;
    this.retryAfterMs = retryAfterMs;
    this.transient = transient;
  }
}

export function isResponseFailure(error: unknown, status?: number): error is ResponseFailure {
  return error instanceof ResponseFailure && (status === undefined || error.status === status);
}
