import { randomUUID } from 'node:crypto';
import { type Call, type Logger, withFields } from '@cygni/core';
import type { Request, RequestHandler } from 'express';
import type { Principal } from './auth/principal.ts';

export interface RequestContext {
  readonly requestId: string;
  /** The path that the router is mounted at; empty at the root. */
  readonly mount: string;
  /** Aborts when the client has gone. */
  readonly call: Call;
  principal: Principal | undefined;
}

const contexts = new WeakMap<Request, RequestContext>();

/** Gives each request an id and a call that ends with it. */
export function openContext(log: Logger): RequestHandler {
  return (request, response, next) => {
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    const requestId = randomUUID();
    const call = { signal: gone.signal, log: withFields(log, { requestId }) };
    contexts.set(request, { requestId, mount: request.baseUrl, call, principal: undefined });
    response.setHeader('X-Request-Id', requestId);
    next();
  };
}

export function contextOf(request: Request): RequestContext {
  const context = contexts.get(request);
  if (!context) throw new Error('the request has not passed openContext');
  return context;
}
