import { setTimeout as delay } from 'node:timers/promises';
import type { Call } from '@cygni/core';
import { isCygniError } from '@cygni/core';
import pRetry from 'p-retry';
import { answerError, type ClusterAnswer, mapError } from '../map-error.ts';
import type { ClusterConnection, ClusterRequest } from './connection.ts';
import { createRateLimit } from './rate-limit.ts';
import { retryAfterMs } from './retry-after.ts';

const maximumBodyBytes = 64 * 1024 ** 2;

type ApiRequest = Pick<ClusterRequest, 'method' | 'path' | 'query' | 'body' | 'contentType'>;

export interface ClusterClient {
  /**
   * Sends a request until it is answered, over some 15 seconds and the pauses that the server asks for; 429 and 5xx count as
   * unanswered. Returns the parsed body.
   * Deletions pass the rate limit by, so that no burst of new builds keeps one from being cancelled.
   * @throws `unavailable`, `rate_limited`, `forbidden`, `unauthenticated`, `not_found`, `conflict`, `aborted`
   */
  send(what: string, request: ApiRequest, call: Call): Promise<unknown>;
}

export type Pause = (milliseconds: number, signal: AbortSignal) => Promise<void>;

const wait: Pause = (milliseconds, signal) => delay(milliseconds, undefined, { signal });

export function createClusterClient(
  connection: ClusterConnection,
  requestsPerSecond: number,
  pause: Pause = wait,
): ClusterClient {
  const admit = createRateLimit(requestsPerSecond);

  async function once(request: ApiRequest, call: Call): Promise<ClusterAnswer> {
    if (request.method !== 'DELETE') await admit(call.signal);
    const { statusCode, headers, body } = await connection.request({
      ...request,
      signal: call.signal,
    });
    const text = await textOf(body);
    return { status: statusCode, body: parse(text), retryAfterMs: retryAfterMs(headers) };
  }

  return {
    send(what, request, call) {
      let askedFor: number | null = null;
      return pRetry(
        async () => {
          askedFor = null;
          try {
            const answer = await once(request, call);
            if (answer.status < 300) return answer.body;
            askedFor = answer.retryAfterMs;
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
          async shouldRetry({ error }) {
            if (!isCygniError(error) || !error.retryable) return false;
            // The server's own pause; p-retry's comes on top.
            if (askedFor !== null) await pause(askedFor, call.signal);
            return true;
          },
        },
      ).catch((error) => {
        throw mapError(what, error, call.signal);
      });
    },
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
