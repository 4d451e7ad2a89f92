import { setTimeout as delay } from 'node:timers/promises';
import type { Call } from '@cygni/core';
import { isCygniError } from '@cygni/core';
import pRetry from 'p-retry';
import { answerError, type ClusterAnswer, mapError } from '../map-error.ts';
import type { ClusterConnection, ClusterRequest } from './connection.ts';
import { createRateLimit } from './rate-limit.ts';

const longestRetryAfterMs = 30_000;
const maximumBodyBytes = 64 * 1024 ** 2;

export type ApiRequest = Pick<ClusterRequest, 'method' | 'path' | 'query' | 'body' | 'contentType'>;

export interface ClusterClient {
  /**
   * Sends a request until it is answered, over some 15 seconds; 429 and 5xx count as unanswered. Returns the parsed body.
   * Deletions pass the rate limit by, so that no burst of new builds keeps one from being cancelled.
   * @throws `unavailable`, `rate_limited`, `forbidden`, `unauthenticated`, `not_found`, `conflict`, `aborted`
   */
  send(what: string, request: ApiRequest, call: Call): Promise<unknown>;
}

export function createClusterClient(
  connection: ClusterConnection,
  requestsPerSecond: number,
): ClusterClient {
  const admit = createRateLimit(requestsPerSecond);

  async function once(request: ApiRequest, call: Call): Promise<ClusterAnswer> {
    if (request.method !== 'DELETE') await admit(call.signal);
    const { statusCode, headers, body } = await connection.request({
      ...request,
      signal: call.signal,
    });
    const text = await textOf(body);
    const seconds = Number(headers['retry-after']);
    return {
      status: statusCode,
      body: parse(text),
      retryAfterMs: seconds > 0 ? Math.min(seconds * 1000, longestRetryAfterMs) : null,
    };
  }

  return {
    send: (what, request, call) =>
      pRetry(
        async () => {
          try {
            const answer = await once(request, call);
            if (answer.status < 300) return answer.body;
            if (answer.retryAfterMs !== null) {
              // The server's own pause, spread out; p-retry's comes on top.
              const wait = answer.retryAfterMs * (1 + Math.random() / 4);
              await delay(wait, undefined, { signal: call.signal });
            }
            throw answerError(what, answer);
          } catch (error) {
            throw mapError(what, error, call.signal);
          }
        },
        {
          retries: 6,
          minTimeout: 200,
          maxTimeout: 4_000,
          randomize: true,
          signal: call.signal,
          shouldRetry: ({ error }) => isCygniError(error) && error.retryable,
        },
      ).catch((error) => {
        throw mapError(what, error, call.signal);
      }),
  };
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maximumBodyBytes) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
