import type { Platform } from '@cygni/core';
import { type RequestHandler, Router } from 'express';
import { principalWith } from './auth/authenticate.ts';
import type { Operation } from './operation.ts';
import { methodNotAllowed } from './problem.ts';
import { limitIdleTime, readJson, requireMediaType } from './read-body.ts';
import { contextOf } from './request-context.ts';

export interface Surroundings {
  readonly platform: Platform;
  readonly inFlight: Set<string>;
  readonly bodyTimeoutMs: number;
}

/** Routes for operations. A path that ends in a verb has to come before the same path without one. */
export function mountOperations(
  operations: readonly Operation[],
  surroundings: Surroundings,
): Router {
  const router = Router();
  for (const [path, ofPath] of Map.groupBy(operations, (each) => each.path)) {
    const route = router.route(expressPath(path));
    for (const operation of ofPath) {
      route[operation.method](
        requireScope(operation),
        ...bodyReaders(operation, surroundings.bodyTimeoutMs),
        answer(operation, surroundings),
      );
    }
    const methods = ofPath.map(({ method }) => method.toUpperCase());
    if (methods.includes('GET')) methods.push('HEAD');
    route.all(methodNotAllowed(...methods.sort()));
  }
  return router;
}

/** From an OpenAPI template. The colon before a verb would else begin a parameter. */
function expressPath(template: string): string {
  return template.replaceAll(':', '\\:').replaceAll(/\{(\w+)\}/g, ':$1');
}

/** Before the body is read: who may not write does not make the server read. */
function requireScope({ scope }: Operation): RequestHandler {
  return (request, _response, next) => {
    principalWith(request, scope);
    next();
  };
}

function bodyReaders({ body, upload }: Operation, timeoutMs: number): RequestHandler[] {
  if (body) return readJson(timeoutMs);
  if (upload) return [requireMediaType(...upload.mediaTypes), limitIdleTime(timeoutMs)];
  return [];
}

function answer(operation: Operation, { platform, inFlight }: Surroundings): RequestHandler {
  return async (request, response) => {
    const { call, mount } = contextOf(request);
    const principal = principalWith(request, operation.scope);
    const exchange = { platform, principal, call, request, response, mount, inFlight };
    const answered = await operation.answer(exchange);
    if (!answered) return;
    response
      .status(answered.status)
      .set(answered.headers ?? {})
      .json(answered.body);
  };
}
