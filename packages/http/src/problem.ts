import { CygniError, type ErrorCode, isCygniError, type Logger } from '@cygni/core';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { contextOf } from './request-context.ts';

const statuses: Readonly<Record<ErrorCode, number>> = {
  invalid_input: 400,
  unauthenticated: 401,
  budget_exceeded: 402,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  idempotency_mismatch: 422,
  integrity: 422,
  rate_limited: 429,
  invalid_configuration: 500,
  internal: 500,
  unsupported: 501,
  unavailable: 503,
  timeout: 503,
  aborted: 503,
  closed: 503,
  lease_lost: 503,
};

const titles: Readonly<Record<number, string>> = {
  400: 'The request is not valid',
  401: 'Authentication is needed',
  402: 'The budget would be exceeded',
  403: 'This is not allowed',
  404: 'Not found',
  405: 'The method is not allowed',
  409: 'The request conflicts with the present state',
  412: 'The resource is not what If-Match says',
  413: 'The request is too large',
  415: 'The media type is not supported',
  422: 'The request cannot be processed',
  429: 'Too many requests',
  500: 'The server failed',
  501: 'Not supported',
  503: 'Not available for the moment',
};

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly [extension: string]: unknown;
}

/** Answers with RFC 9457 problem details. */
export function sendProblem(response: Response, problem: Problem): void {
  const { status, code, detail, ...extensions } = problem;
  const { requestId } = contextOf(response.req);
  response
    .status(status)
    .type('application/problem+json')
    .send(
      JSON.stringify({
        type: `urn:cygni:problem:${code}`,
        title: titles[status] ?? 'Error',
        status,
        detail,
        instance: response.req.originalUrl.split('?')[0],
        code,
        requestId,
        ...extensions,
      }),
    );
}

/** The last handler: turns whatever was thrown into problem details, and tells nothing of what went wrong inside. */
export function handleErrors(log: Logger): ErrorRequestHandler {
  // Express recognises an error handler by its four parameters.
  return (thrown: unknown, request, response, _next) => {
    const error = isCygniError(thrown) ? thrown : fromBodyParser(thrown);
    const status = statuses[error.code];
    if (status >= 500 && !contextOf(request).call.signal.aborted) {
      log.error({ err: thrown, requestId: contextOf(request).requestId }, 'request failed');
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="cygni"');
    if (status === 503) response.setHeader('Retry-After', '2');
    sendProblem(response, {
      status,
      code: error.code.replaceAll('_', '-'),
      detail: status === 500 ? 'an internal error; quote the request id' : error.message,
      ...(error.issues.length > 0 ? { errors: error.issues } : {}),
      ...(error.budget ?? {}),
    });
  };
}

const bodyParserErrorSchema = z.object({ type: z.string(), status: z.number() });

function fromBodyParser(thrown: unknown): CygniError {
  const parsed = bodyParserErrorSchema.safeParse(thrown);
  if (!parsed.success) return new CygniError('internal', 'internal error', { cause: thrown });
  const { type, status } = parsed.data;
  if (status === 413) return new CygniError('too_large', 'the body is too large');
  if (type === 'entity.parse.failed') {
    const issues = [{ pointer: '', code: 'invalid_json', message: 'is not JSON' }];
    return new CygniError('invalid_input', 'the body is not JSON', { issues });
  }
  return new CygniError('invalid_input', 'the body cannot be read');
}

export const routeNotFound: RequestHandler = (_request, response) => {
  sendProblem(response, { status: 404, code: 'not-found', detail: 'no such route' });
};

export function methodNotAllowed(...allowed: readonly string[]): RequestHandler {
  return (_request, response) => {
    response.setHeader('Allow', allowed.join(', '));
    const detail = `this resource takes ${allowed.join(', ')}`;
    sendProblem(response, { status: 405, code: 'method-not-allowed', detail });
  };
}

/** Refuses a body of any other media type with 415. */
export function requireMediaType(...accepted: readonly string[]): RequestHandler {
  return (request, response, next) => {
    if (request.is([...accepted])) return next();
    const detail = `Content-Type must be ${accepted.join(' or ')}`;
    sendProblem(response, { status: 415, code: 'unsupported-media-type', detail });
  };
}
