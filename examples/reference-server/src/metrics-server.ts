import { createServer, type Server } from 'node:http';
import type { Platform } from '@cygni/core';

/** Answers GET /metrics and nothing else. For a port that only operators reach. */
export function createMetricsServer({ metrics }: Pick<Platform, 'metrics'>): Server {
  return createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
    } else if (request.method !== 'GET') {
      response.writeHead(405, { Allow: 'GET' }).end();
    } else {
      metrics.metrics().then(
        (text) => response.writeHead(200, { 'Content-Type': metrics.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    }
  });
}
