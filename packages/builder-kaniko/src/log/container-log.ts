import { abortedError, type Call } from '@cygni/core';
import { retryAfterMs } from '../cluster/retry-after.ts';
import { formatSecond } from './timestamp.ts';

/** What is used of undici's body. */
export type LogBody = AsyncIterable<Uint8Array> & {
  on(event: 'error', listener: () => void): unknown;
  destroy(): unknown;
  /** Reads and forgets, so that the connection can be used again. */
  dump(): Promise<void>;
};

/** What is asked of a connection to the API server. */
export interface LogConnection {
  request(options: {
    readonly method: 'GET';
    readonly path: string;
    readonly query: Readonly<Record<string, string | number | boolean>>;
    readonly signal: AbortSignal;
    readonly bodyTimeoutMs: number;
  }): Promise<{
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly body: LogBody;
  }>;
}

export interface ContainerLog {
  readonly connection: LogConnection;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export type LogAnswer =
  | { readonly status: 'lines'; readonly body: LogBody }
  | {
      /** starting: the container has not run yet. missing: there is no such pod. failed: ask again. */
      readonly status: 'starting' | 'missing' | 'failed';
      readonly code?: number;
      readonly retryAfterMs?: number | null;
      readonly err?: unknown;
    };

/**
 * Asks the API server for the log of a container.
 * @throws `aborted` or `timeout`, as the call's signal says; whatever else goes wrong is an answer
 */
export async function openContainerLog(
  { connection, namespace, pod, container }: ContainerLog,
  { follow, since }: { readonly follow: boolean; readonly since: number | null },
  call: Call,
): Promise<LogAnswer> {
  try {
    const { statusCode, headers, body } = await connection.request({
      method: 'GET',
      path: `/api/v1/namespaces/${namespace}/pods/${pod}/log`,
      query: {
        container,
        timestamps: true,
        follow,
        ...(since !== null && { sinceTime: formatSecond(since) }),
      },
      signal: call.signal,
      // Silence is bounded by who reads: a build may be silent for longer than a connection.
      bodyTimeoutMs: 0,
    });
    if (statusCode === 200) return { status: 'lines', body };
    await body.dump();
    // 204: it has no node yet.
    if (statusCode === 400 || statusCode === 204) return { status: 'starting' };
    if (statusCode === 404) return { status: 'missing' };
    return { status: 'failed', code: statusCode, retryAfterMs: retryAfterMs(headers) };
  } catch (err) {
    if (call.signal.aborted) throw abortedError(call.signal);
    return { status: 'failed', err };
  }
}
