import { CygniError, type ErrorCode, isCygniError } from '@cygni/core';

const byState: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  '23503': ['conflict', 'something it refers to does not exist'],
  '23505': ['conflict', 'it exists already'],
  '25006': ['unavailable', 'the database accepts no writes now'],
  '28000': ['invalid_configuration', 'the database refused the user'],
  '28P01': ['invalid_configuration', 'the database refused the password'],
  '3D000': ['invalid_configuration', 'there is no such database'],
  '40001': ['unavailable', 'too many conflicting transactions'],
  '40P01': ['unavailable', 'too many conflicting transactions'],
  '42501': ['invalid_configuration', 'the database user lacks a privilege'],
  '55P03': ['unavailable', 'a lock was not free in time'],
  '57014': ['timeout', 'the statement ran too long'],
  '57P01': ['unavailable', 'the database ended the connection'],
  '57P02': ['unavailable', 'the database ended the connection'],
  '57P03': ['unavailable', 'the database is starting or stopping'],
  '57P05': ['unavailable', 'the database ended the connection'],
};

/** Connection exceptions, and a lack of resources. */
const unavailableClasses: ReadonlySet<string> = new Set(['08', '53']);

const systemCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
]);

/** What pg says, without a code, when its connection is gone or was not made in time. */
const connectionMessage =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Client was closed|Client is closing)/;

/** Turns what pg throws into the platform's error. Row contents, which pg adds as detail, are left out. */
export function mapError(error: unknown): CygniError {
  if (isCygniError(error)) return error;
  const cause = withoutContents(error);
  const state = sqlState(error);
  if (state !== undefined) {
    const known = byState[state];
    if (known) return new CygniError(known[0], known[1], { cause });
    if (unavailableClasses.has(state.slice(0, 2))) {
      return new CygniError('unavailable', 'the database is unavailable', { cause });
    }
    if (state.startsWith('22')) {
      return new CygniError('invalid_input', 'a value that cannot be stored', { cause });
    }
    return new CygniError('internal', 'the database refused a statement', { cause });
  }
  if (isConnectionError(error)) {
    return new CygniError('unavailable', 'the database is out of reach', { cause });
  }
  return new CygniError('internal', 'the store failed', { cause });
}

/** SQLSTATE of a server's error. */
export function sqlState(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !systemCodes.has(code)
    ? code
    : undefined;
}

/** True: another run of the same transaction may go through. */
export function isTransactionConflict(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01';
}

/** True: the connection that threw it is gone, or will be in a moment. */
export function endsConnection(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined ? isConnectionError(error) : /^(08|57P)/.test(state);
}

export function violates(error: unknown, constraint: string): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'constraint' in error &&
    error.constraint === constraint
  );
}

function isConnectionError(error: unknown): boolean {
  if (error instanceof AggregateError && error.errors.some(isConnectionError)) return true;
  const code = codeOf(error);
  if (code !== undefined && systemCodes.has(code)) return true;
  return error instanceof Error && connectionMessage.test(error.message);
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

const kept = ['code', 'severity', 'schema', 'table', 'column', 'constraint', 'routine'] as const;

function withoutContents(error: unknown): unknown {
  if (sqlState(error) === undefined || !(error instanceof Error)) return error;
  const fields = kept.flatMap((name) => {
    const value: unknown = Reflect.get(error, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const clean = new Error(sqlState(error)?.startsWith('22') ? 'invalid value' : error.message);
  if (error.stack !== undefined && !sqlState(error)?.startsWith('22')) clean.stack = error.stack;
  return Object.assign(clean, Object.fromEntries(fields));
}
