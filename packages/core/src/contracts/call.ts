/** The version of the contracts in this package. An adapter states the one it was written for. */
export const SPEC_VERSION = 1;

/** The part of pino's logger that adapters use. */
export interface Logger {
  debug(fields: object, message?: string): void;
  info(fields: object, message?: string): void;
  warn(fields: object, message?: string): void;
  error(fields: object, message?: string): void;
}

/** What every call to an adapter carries. A call that is aborted rejects soon, with code `aborted`. */
export interface Call {
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * What every adapter has. A factory does no I/O; `open` connects, and is idempotent.
 * `close` ends only what the adapter created, is idempotent and works in every state.
 */
export interface Adapter {
  readonly specVersion: typeof SPEC_VERSION;
  /** A name for start-up lines, metrics and logs: `postgres`, `memory`, `kaniko` … */
  readonly name: string;
  open(call: Call): Promise<void>;
  close(): Promise<void>;
}
