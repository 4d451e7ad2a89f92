import {
  CygniError,
  type Platform,
  rollbackRequestSchema,
  type ServiceKey,
  serviceNameSchema,
} from '@cygni/core';
import { type Request, Router } from 'express';
import { principalWith } from '../auth/authenticate.ts';
import type { Scope } from '../auth/principal.ts';
import { parseIdempotency, parseInput, parsePage } from '../parse.ts';
import { methodNotAllowed, requireMediaType } from '../problem.ts';
import { contextOf } from '../request-context.ts';
import { sendPage } from '../send-page.ts';
import { viewDeployment } from '../views.ts';

function keyOf(request: Request, scope: Scope): ServiceKey {
  const { tenantId } = principalWith(request, scope);
  const service = serviceNameSchema.safeParse(request.params.name);
  if (!service.success) throw new CygniError('not_found', 'no such service');
  return { tenantId, service: service.data };
}

export function serviceRoutes(platform: Platform): Router {
  const router = Router();
  router
    .route('/services')
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'deployments:read');
      const page = parsePage(request);
      const found = await platform.services.list(tenantId, page, contextOf(request).call);
      sendPage(response, found, (service) => service);
    })
    .all(methodNotAllowed('GET'));

  router
    .route('/services/:name\\:rollback')
    .post(requireMediaType('application/json'), async (request, response) => {
      const key = keyOf(request, 'deployments:write');
      const input = parseInput(rollbackRequestSchema, request.body);
      const retain = platform.settings.idempotencySeconds;
      const route = `POST /v1/services/${key.service}:rollback`;
      const idempotency = parseIdempotency(request, route, input, retain);
      const { call } = contextOf(request);
      const { resource } = await platform.deployments.rollBack(key, input, idempotency, call);
      const location = `/v1/deployments/${resource.id}`;
      response.status(202).location(location).json(viewDeployment(resource));
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/services/:name')
    .get(async (request, response) => {
      const key = keyOf(request, 'deployments:read');
      response.json(await platform.services.get(key, contextOf(request).call));
    })
    .all(methodNotAllowed('GET'));

  router
    .route('/services/:name/revisions')
    .get(async (request, response) => {
      const key = keyOf(request, 'deployments:read');
      const page = parsePage(request);
      const found = await platform.services.listRevisions(key, page, contextOf(request).call);
      sendPage(response, found, (revision) => revision);
    })
    .all(methodNotAllowed('GET'));
  return router;
}
