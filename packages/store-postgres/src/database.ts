import { abortedError, type Call, CygniError, linkSignals } from '@cygni/core';
import pRetry from 'p-retry';
import pg from 'pg';
import { type Session, withSession } from './checkout.ts';
import { isTransactionConflict, mapError } from './map-error.ts';
import { migrate } from './migrate.ts';
import type { ResolvedOptions } from './options.ts';
import type { Pool, PoolClient } from './pool.ts';
import type { Row } from './rows.ts';
import { type Statement, statement } from './statement.ts';

/** Runs statements and transactions. All that it throws is a CygniError, except what `work` itself throws through it. */
export interface Database {
  /** How long a call may wait for its turn. */
  readonly connectionTimeoutMs: number;
  open(call: Call): Promise<void>;
  close(): Promise<void>;
  /** One statement that is a transaction of its own. */
  run(
    statement: Statement,
    values: readonly unknown[],
    call: Call,
    recover?: (error: unknown) => readonly Row[] | undefined,
  ): Promise<readonly Row[]>;
  /**
   * Work that others may do too, on behalf of this call: `close` waits for it. Its statements go through
   * {@link Database.execute}.
   */
  attend<T>(call: Call, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** As `run`, of work that is attended; also while the store closes. Throws what pg throws. */
  execute(
    statement: Statement,
    values: readonly unknown[],
    signal: AbortSignal,
  ): Promise<readonly Row[]>;
  /** READ COMMITTED. Rolled back when `work` rejects; run again, `work` included, on a serialization failure or deadlock. */
  transaction<T>(work: (session: Session) => Promise<T>, call: Call): Promise<T>;
  /**
   * As `transaction`, without waiting for the disk: a server that crashes within a second may forget it. Null, and
   * nothing is begun, unless `occasion` gives a row: a relay asks often, and mostly in vain.
   */
  forgettable<T>(
    occasion: Statement,
    work: (session: Session) => Promise<T>,
    call: Call,
  ): Promise<T | null>;
}

const begin = statement('begin', 'BEGIN ISOLATION LEVEL READ COMMITTED');
const beginForgettable = 'BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off';
const commit = statement('commit', 'COMMIT');
const rollback = statement('rollback', 'ROLLBACK');

const conflictRetries = { retries: 6, minTimeout: 5, maxTimeout: 200, randomize: true } as const;
const migrationTimeoutMs = 120_000;
const closeTimeoutMs = 5_000;

export function createDatabase(options: ResolvedOptions): Database {
  const limits = {
    connectionTimeoutMs: options.connectionTimeoutMs,
    // The server's own limit, where it is set, comes first and says more.
    statementTimeoutMs: options.statementTimeoutMs + 1_000,
  };
  const closing = new AbortController();
  const running = new Set<Promise<unknown>>();
  let closed: Promise<void> | undefined;
  let own: pg.Pool | undefined;
  let borrowed: Pool | undefined;
  let opened: Promise<void> | undefined;
  const onIdleError = () => {}; // pg removes the connection itself; the next call makes a new one.
  const onConnect = (client: PoolClient) => client.on('error', onIdleError);

  /** A new connection may end with the same packet that made it ready, before whoever asked for it can listen. */
  function listen(to: Pool): void {
    to.on('error', onIdleError);
    to.on('connect', onConnect);
  }

  function pool(): Pool {
    if ('pool' in options) {
      if (!borrowed) {
        borrowed = options.pool;
        listen(borrowed);
      }
      return borrowed;
    }
    if (!own) {
      own = new pg.Pool({
        connectionString: options.url,
        max: options.poolSize,
        connectionTimeoutMillis: options.connectionTimeoutMs,
        statement_timeout: options.statementTimeoutMs,
        lock_timeout: Math.min(5_000, options.statementTimeoutMs),
        idle_in_transaction_session_timeout: 60_000,
        keepAlive: true,
        application_name: 'cygni',
        // The server notices that a caller is gone while it still works or waits for it.
        options: '-c client_connection_check_interval=2000',
      });
      listen(own);
    }
    return own;
  }

  /** On the first call. Its time is its own: a caller that gives up does not take the others with it. */
  function ready(): Promise<void> {
    opened ??= withSession(
      pool(),
      { ...limits, statementTimeoutMs: migrationTimeoutMs },
      closing.signal,
      migrate,
    ).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  }

  /** Everything goes through here: refused once closed, counted while it runs, its errors mapped. */
  async function guarded<T>(call: Call, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (closed) throw new CygniError('closed', 'the store is closed');
    if (call.signal.aborted) throw abortedError(call.signal);
    using either = linkSignals([call.signal, closing.signal]);
    const { signal } = either;
    const task = withAbort(ready(), signal).then(() => work(signal));
    running.add(task);
    try {
      return await task;
    } catch (error) {
      if (signal.aborted) throw abortedError(signal);
      throw mapError(error);
    } finally {
      running.delete(task);
    }
  }

  function retrying<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    return pRetry(attempt, {
      ...conflictRetries,
      signal,
      shouldRetry: ({ error }) => isTransactionConflict(error),
    });
  }

  function transaction<T>(
    start: (session: Session) => Promise<unknown>,
    work: (session: Session) => Promise<T>,
    call: Call,
  ): Promise<T> {
    return guarded(call, (signal) =>
      retrying(signal, () =>
        withSession(pool(), limits, signal, async (session) => {
          await start(session);
          try {
            const result = await withAbort(work(session), signal);
            await session.run(commit);
            return result;
          } catch (error) {
            // Where even this fails, the connection is gone and the transaction with it.
            if (!signal.aborted) await session.run(rollback).catch(() => {});
            throw error;
          }
        }),
      ),
    );
  }

  async function close(): Promise<void> {
    const drained = Promise.allSettled([...running]);
    const timer = setTimeout(
      () => closing.abort(new CygniError('closed', 'the store is closed')),
      closeTimeoutMs,
    );
    try {
      await drained;
      await opened?.catch(() => {});
    } finally {
      clearTimeout(timer);
    }
    borrowed?.removeListener('error', onIdleError);
    borrowed?.removeListener('connect', onConnect);
    await own?.end();
  }

  const run: Database['run'] = (text, values, call, recover) =>
    guarded(call, (signal) =>
      retrying(signal, () =>
        withSession(pool(), limits, signal, async (session) => {
          try {
            return await session.run(text, values);
          } catch (error) {
            const rows = recover?.(error);
            if (rows) return rows;
            throw error;
          }
        }),
      ),
    );

  return {
    connectionTimeoutMs: limits.connectionTimeoutMs,
    open: (call) => guarded(call, async () => {}),
    close() {
      closed ??= close();
      return closed;
    },
    attend: guarded,
    execute: (text, values, signal) =>
      retrying(signal, () =>
        withSession(pool(), limits, signal, (session) => session.run(text, values)),
      ),
    run,
    transaction: (work, call) => transaction((session) => session.run(begin), work, call),
    async forgettable(occasion, work, call) {
      if ((await run(occasion, [], call)).length === 0) return null;
      return transaction((session) => session.script(beginForgettable), work, call);
    },
  };
}

async function withAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(abortedError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
