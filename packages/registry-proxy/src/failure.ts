import type { ErrorReason } from './report.ts';

export interface FailureOptions {
  /** Reported in a line of its own; absent: an ordinary answer that the build's log shows. */
  readonly reason?: ErrorReason;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that is answered with an error in the form of the OCI distribution spec. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly status: number;
  readonly code: string;
  readonly reason: ErrorReason | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, options: FailureOptions = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.reason = options.reason;
    this.headers = options.headers ?? {};
  }
}
