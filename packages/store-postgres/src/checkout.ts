import { abortedError, CygniError } from '@cygni/core';
import { endsConnection } from './map-error.ts';
import type { Pool, PoolClient } from './pool.ts';
import { type Row, typeParsers } from './rows.ts';
import type { Statement } from './statement.ts';

/** A connection for one transaction. */
export interface Session {
  run(statement: Statement, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** SQL of several statements, which cannot be prepared. */
  script(text: string): Promise<void>;
}

export interface Limits {
  readonly connectionTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

/**
 * Hands a connection to `work`. When the signal aborts, or a statement takes longer than it may, the connection is
 * destroyed: nobody can know in which state it is, and a server ends what a connection that is gone had asked for.
 */
export async function withSession<T>(
  pool: Pool,
  limits: Limits,
  signal: AbortSignal,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const client = await checkOut(pool, limits.connectionTimeoutMs, signal);
  let broken = false;
  // Without a listener, a connection that dies while it is checked out would end the process.
  const onError = () => {
    broken = true;
  };
  client.on('error', onError);

  async function bounded(query: Parameters<PoolClient['query']>[0]): Promise<readonly Row[]> {
    const asked = client.query(query);
    const { rows } = await settleWithin(asked, limits.statementTimeoutMs, signal, () => {
      broken = true;
      return new CygniError('timeout', 'the database did not answer in time');
    }).catch((error: unknown) => {
      if (endsConnection(error)) broken = true;
      throw error;
    });
    return rows as Row[];
  }

  try {
    return await work({
      run: ({ name, text }, values = []) =>
        bounded({ name, text, values: [...values], types: typeParsers }),
      script: async (text) => {
        await bounded({ text });
      },
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    broken = true;
    throw abortedError(signal);
  } finally {
    client.removeListener('error', onError);
    client.release(broken);
  }
}

async function checkOut(pool: Pool, timeoutMs: number, signal: AbortSignal): Promise<PoolClient> {
  if (signal.aborted) throw abortedError(signal);
  const connecting = pool.connect();
  let given = false;
  try {
    const client = await settleWithin(
      connecting,
      timeoutMs,
      signal,
      () => new CygniError('unavailable', `no connection was free within ${timeoutMs} ms`),
    );
    given = true;
    return client;
  } finally {
    // One that comes too late goes straight back.
    if (!given)
      connecting.then(
        (late) => late.release(),
        () => {},
      );
  }
}

/** The promise, or after `ms` the error of `onTimeout`, or on abort the signal's; whichever comes first. */
async function settleWithin<T>(
  promise: Promise<T>,
  ms: number,
  signal: AbortSignal,
  onTimeout: () => CygniError,
): Promise<T> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(onTimeout()), ms);
  const onAbort = () => reject(abortedError(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  promise.catch(() => {});
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
