import type { Platform } from '@cygni/core';
import { Router } from 'express';
import { sendProblem } from '../problem.ts';
import { contextOf } from '../request-context.ts';

const readyTimeoutMs = 2_000;

/** What operators' machines ask: whether it lives, whether it takes work, and its metrics. */
export function operationRoutes(
  platform: Platform,
  options: { readonly metrics: boolean },
): Router {
  const router = Router();
  router.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/readyz', async (request, response) => {
    const { call } = contextOf(request);
    try {
      const signal = AbortSignal.any([call.signal, AbortSignal.timeout(readyTimeoutMs)]);
      const { degraded } = await platform.ready({ ...call, signal });
      response.json({ status: degraded.length === 0 ? 'ready' : 'degraded', degraded });
    } catch (err) {
      call.log.warn({ err }, 'not ready');
      response.setHeader('Retry-After', '2');
      sendProblem(response, {
        status: 503,
        code: 'unavailable',
        detail: 'the store is out of reach',
      });
    }
  });
  if (options.metrics) {
    router.get('/metrics', async (_request, response) => {
      response.type(platform.metrics.contentType).send(await platform.metrics.metrics());
    });
  }
  return router;
}
