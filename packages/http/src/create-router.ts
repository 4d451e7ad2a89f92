import type { Logger, Platform } from '@cygni/core';
import express, { Router } from 'express';
import { authenticate } from './auth/authenticate.ts';
import type { Authenticator } from './auth/authenticator.ts';
import { measureRequests } from './measure-requests.ts';
import { handleErrors, routeNotFound } from './problem.ts';
import { openContext } from './request-context.ts';
import { budgetRoutes } from './routes/budgets.ts';
import { buildRoutes } from './routes/builds.ts';
import { deploymentRoutes } from './routes/deployments.ts';
import { operationRoutes } from './routes/operations.ts';
import { serviceRoutes } from './routes/services.ts';
import { sourceRoutes } from './routes/sources.ts';
import { webhookRoutes } from './routes/webhook-endpoints.ts';

export interface RouterOptions {
  readonly platform: Platform;
  readonly authenticator: Authenticator;
  readonly log: Logger;
  /** Serve `/metrics` here too. Off where the port is public. Default true. */
  readonly metrics?: boolean;
}

const jsonLimit = '256kb';

/** The whole HTTP API over a platform, for `app.use(createRouter(…))`. */
export function createRouter(options: RouterOptions): Router {
  const { platform, authenticator, log } = options;
  const builds = buildRoutes(platform);

  const v1 = Router();
  v1.use(sourceRoutes(platform));
  v1.use(builds);
  v1.use(deploymentRoutes(platform));
  v1.use(serviceRoutes(platform));
  v1.use(budgetRoutes(platform));
  v1.use(webhookRoutes(platform));

  const router = Router();
  router.use(openContext(log));
  router.use(measureRequests(platform.metrics, log));
  router.use(operationRoutes(platform, { metrics: options.metrics ?? true }));
  router.use(authenticate(authenticator));
  router.use(express.json({ limit: jsonLimit, strict: false }));
  router.use('/v1', v1);
  router.use(builds);
  router.use(routeNotFound);
  router.use(handleErrors(log));
  return router;
}
