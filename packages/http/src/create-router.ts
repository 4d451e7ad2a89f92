import type { Logger, Platform } from '@cygni/core';
import compression from 'compression';
import cors from 'cors';
import { type RequestHandler, Router } from 'express';
import helmet from 'helmet';
import { authenticate } from './auth/authenticate.ts';
import type { Authenticator } from './auth/authenticator.ts';
import { limitRequests, type RateLimits } from './limit-requests.ts';
import { measureRequests } from './measure-requests.ts';
import { mountOperations } from './mount-operations.ts';
import { serveReference } from './openapi/serve-reference.ts';
import { handleErrors, routeNotFound } from './problem.ts';
import { openContext } from './request-context.ts';
import { budgetOperations } from './routes/budgets.ts';
import { buildOperations } from './routes/builds.ts';
import { deploymentOperations } from './routes/deployments.ts';
import { operationRoutes } from './routes/operations.ts';
import { serviceOperations } from './routes/services.ts';
import { sourceOperations } from './routes/sources.ts';
import { traceRequests } from './trace-requests.ts';

export interface RouterOptions {
  readonly authenticator: Authenticator;
  readonly log: Logger;
  /** Serve `/metrics` here, where everybody who reaches the API can read them. Default false. */
  readonly metrics?: boolean;
  /** Default: no limits. */
  readonly rateLimits?: RateLimits;
  /** Origins whose pages may use the API from browsers, such as `https://console.example.com`. Default: none. */
  readonly corsOrigins?: readonly string[];
  /** How long the JSON body of a request may take, and an upload without a byte. Default 30 000. */
  readonly bodyTimeoutMs?: number;
}

const operations = [
  ...sourceOperations,
  ...buildOperations,
  ...deploymentOperations,
  ...serviceOperations,
  ...budgetOperations,
];

/** The whole HTTP API over a platform, for `app.use(createRouter(…))` under any path. */
export function createRouter(platform: Platform, options: RouterOptions): Router {
  const { authenticator, log, rateLimits, corsOrigins = [], bodyTimeoutMs = 30_000 } = options;
  const surroundings = { platform, inFlight: new Set<string>(), bodyTimeoutMs };

  const router = Router();
  router.use(openContext(log));
  router.use(traceRequests);
  router.use(measureRequests(platform.metrics, log));
  router.use(securityHeaders);
  if (corsOrigins.length > 0) router.use(allowOrigins(corsOrigins));
  router.use(compress);
  router.use(operationRoutes(platform, { metrics: options.metrics ?? false }));
  router.use(serveReference(operations));
  router.use(authenticate(authenticator));
  if (rateLimits) router.use(limitRequests(rateLimits, log));
  router.use('/v1', mountOperations(operations, surroundings));
  router.use(mountOperations(buildOperations, surroundings));
  router.use(routeNotFound);
  router.use(handleErrors(log));
  return router;
}

/** Answers are data: nothing in them runs, and nobody but the client keeps them. */
const securityHeaders: RequestHandler[] = [
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
  }),
  (_request, response, next) => {
    response.setHeader('Cache-Control', 'private, no-cache');
    next();
  },
];

/** An event stream is left alone: its events would wait in the compressor. */
const compress: RequestHandler = compression({
  filter: (request, response) =>
    !String(response.getHeader('Content-Type')).startsWith('text/event-stream') &&
    compression.filter(request, response),
});

function allowOrigins(origins: readonly string[]): RequestHandler {
  return cors({
    origin: [...origins],
    exposedHeaders: [
      'ETag',
      'Link',
      'Location',
      'RateLimit',
      'RateLimit-Policy',
      'Retry-After',
      'X-Request-Id',
    ],
    maxAge: 600,
  });
}
