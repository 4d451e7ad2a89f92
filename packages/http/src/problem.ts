import { type CygniError, type ErrorCode, isCygniError, type Logger } from '@cygni/core';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { contextOf } from './request-context.ts';
import { currentTraceId } from './trace-requests.ts';

const statuses: Readonly<Record<ErrorCode, number>> = {
  invalid_input: 400,
  unauthenticated: 401,
  budget_exceeded: 402,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  precondition_failed: 412,
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

export const titles: Readonly<Record<number, string>> = {
  400: 'The request is not valid',
  401: 'Authentication is needed',
  402: 'The budget would be exceeded',
  403: 'This is not allowed',
  404: 'Not found',
  405: 'The method is not allowed',
  408: 'The request came too slowly',
  409: 'The request conflicts with the present state',
  412: 'The resource has changed',
  413: 'The request is too large',
  415: 'The media type is not supported',
  422: 'The request cannot be processed',
  429: 'Too many requests',
  500: 'The server failed',
  501: 'Not supported',
  503: 'Not available for the moment',
};

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly [extension: string]: unknown;
}

/** Problem details (RFC 9457). Some codes have members of their own. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string(),
  code: z.string().describe('For programs.'),
  requestId: z.string(),
  errors: z
    .array(z.strictObject({ pointer: z.string(), code: z.string(), message: z.string() }))
    .optional()
    .describe('Of 400: each place in the request that was refused, as a JSON pointer (RFC 6901).'),
  limit: z.int().optional().describe('This and the rest: of 402.'),
  spent: z.int().optional(),
  reserved: z.int().optional(),
  estimate: z.int().optional(),
  currency: z.string().optional(),
  resetsAt: z.iso.datetime().nullable().optional(),
});

/** Answers with RFC 9457 problem details. */
export function sendProblem(response: Response, problem: Problem): void {
  const { status, code, detail, ...extensions } = problem;
  const { requestId } = contextOf(response.req);
  const traceId = currentTraceId();
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
        ...(traceId !== undefined && { trace_id: traceId }),
        ...extensions,
      }),
    );
}

/** The last handler: turns whatever was thrown into problem details, and tells nothing of what went wrong inside. */
export function handleErrors(log: Logger): ErrorRequestHandler {
  // Express recognises an error handler by its four parameters.
  return (thrown: unknown, request, response, _next) => {
    const problem = isCygniError(thrown) ? problemOf(thrown) : problemOfReading(thrown);
    const { status } = problem;
    const { call, requestId } = contextOf(request);
    if (status >= 500 && !call.signal.aborted) {
      log.error({ err: thrown, requestId }, 'request failed');
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="cygni"');
    if (status === 503) response.setHeader('Retry-After', '2');
    if (status === 409 && isCygniError(thrown) && thrown.retryable) {
      response.setHeader('Retry-After', '1');
    }
    sendProblem(response, problem);
  };
}

function problemOf(error: CygniError): Problem {
  const status = statuses[error.code];
  return {
    status,
    code: error.code.replaceAll('_', '-'),
    detail: status === 500 ? internalDetail : error.message,
    ...(error.issues.length > 0 ? { errors: error.issues } : {}),
    ...(error.budget ?? {}),
  };
}

const internalDetail = 'an internal error; quote the request id';
const readingErrorSchema = z.object({ status: z.int().min(400).max(499) });

/** Of what Express throws while it reads a request: its path, its encoding, its body. */
function problemOfReading(thrown: unknown): Problem {
  const parsed = readingErrorSchema.safeParse(thrown);
  switch (parsed.data?.status) {
    case undefined:
      return { status: 500, code: 'internal', detail: internalDetail };
    case 413:
      return { status: 413, code: 'too-large', detail: 'the body is too large' };
    case 415:
      return {
        status: 415,
        code: 'unsupported-media-type',
        detail: 'the encoding of the body is not supported',
      };
    default:
      return { status: 400, code: 'invalid-input', detail: 'the request cannot be read' };
  }
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
