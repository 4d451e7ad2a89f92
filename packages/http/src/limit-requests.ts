import { createHash } from 'node:crypto';
import type { Logger } from '@cygni/core';
import type { Request, RequestHandler } from 'express';
import { rateLimit, type Store } from 'express-rate-limit';
import type { Principal } from './auth/principal.ts';
import { sendProblem } from './problem.ts';
import { contextOf } from './request-context.ts';

export interface RateLimits {
  readonly windowSeconds: number;
  /** Requests in a window, of all tokens of a tenant together. */
  readonly perTenant: number;
  /** Requests in a window. */
  readonly perToken: number;
  /**
   * Where requests are counted under keys that begin with the prefix: replicas that share a store share the limits.
   * It has to answer soon: a request waits for it. Without an answer nothing is limited. Default: this process.
   */
  readonly createStore?: (prefix: string) => Store;
}

/** Refuses with 429 whoever asks too often; tells all the others how much is left. */
export function limitRequests(limits: RateLimits, log: Logger): RequestHandler[] {
  const limit = (name: string, most: number, keyOf: (request: Request) => string) =>
    rateLimit({
      windowMs: limits.windowSeconds * 1000,
      limit: most,
      identifier: name,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      keyGenerator: keyOf,
      handler(_request, response) {
        const detail = `too many requests of this ${name}`;
        sendProblem(response, { status: 429, code: 'rate-limited', detail });
      },
      passOnStoreError: true,
      logger: {
        error: (err, message) => log.warn({ err }, message ?? 'rate limits are not enforced'),
        warn: (err, message) => log.warn({ err }, message ?? 'rate limits'),
      },
      ...(limits.createStore ? { store: limits.createStore(`cygni:rate:${name}:`) } : {}),
    });
  return [
    limit('token', limits.perToken, (request) => digestOf(request.headers.authorization ?? '')),
    limit('tenant', limits.perTenant, (request) => principalOf(request).tenantId),
  ];
}

function principalOf(request: Request): Principal {
  const { principal } = contextOf(request);
  if (!principal) throw new Error('the request has not passed authenticate');
  return principal;
}

/** The token itself is kept nowhere. */
function digestOf(authorization: string): string {
  return createHash('sha256').update(authorization).digest('base64url');
}
