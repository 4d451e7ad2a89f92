import type { Logger } from '@cygni/core';
import { context } from '@opentelemetry/api';
import type { Request, RequestHandler } from 'express';
import { Histogram, type Registry } from 'prom-client';
import { contextOf } from './request-context.ts';

/** Measures and logs each request by its route, never by its path: ids stay out of the labels. */
export function measureRequests(registry: Registry, log: Logger): RequestHandler {
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Duration of HTTP requests.',
    labelNames: ['method', 'route', 'status_code'],
    buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
    registers: [registry],
  });
  return (request, response, next) => {
    const startedAt = performance.now();
    const { method, ip: client } = request;
    const onClose = () => {
      const durationMs = performance.now() - startedAt;
      const route = routeOf(request);
      const status = response.writableFinished ? response.statusCode : 499;
      duration.observe({ method, route, status_code: String(status) }, durationMs / 1000);
      const { requestId, principal } = contextOf(request);
      const tenantId = principal?.tenantId;
      log.info({ requestId, tenantId, client, method, route, status, durationMs }, 'request');
    };
    // So that the line has the ids of the request's span.
    response.once('close', context.bind(context.active(), onClose));
    next();
  };
}

function routeOf(request: Request): string {
  const route: unknown = request.route;
  const known = typeof route === 'object' && route !== null && 'path' in route;
  if (!known || typeof route.path !== 'string') return 'unknown';
  // Express has taken `baseUrl` back by the time a response is closed.
  const { mount } = contextOf(request);
  return request.originalUrl.startsWith(`${mount}/v1/`) ? `/v1${route.path}` : route.path;
}
