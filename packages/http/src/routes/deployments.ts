import { deploymentRequestSchema, type Platform, serviceNameSchema } from '@cygni/core';
import { Router } from 'express';
import { z } from 'zod';
import { principalWith } from '../auth/authenticate.ts';
import { parseId, parseIdempotency, parseInput, parsePage } from '../parse.ts';
import { methodNotAllowed, requireMediaType } from '../problem.ts';
import { contextOf } from '../request-context.ts';
import { sendPage } from '../send-page.ts';
import { viewDeployment } from '../views.ts';

const pollAfterSeconds = '1';
const filterSchema = z.object({ service: serviceNameSchema.optional() });

export function deploymentRoutes(platform: Platform): Router {
  const router = Router();
  router
    .route('/deployments')
    .post(requireMediaType('application/json'), async (request, response) => {
      const { tenantId } = principalWith(request, 'deployments:write');
      const input = parseInput(deploymentRequestSchema, request.body);
      const retain = platform.settings.idempotencySeconds;
      const idempotency = parseIdempotency(request, 'POST /v1/deployments', input, retain);
      const { call } = contextOf(request);
      const { resource } = await platform.deployments.accept(tenantId, input, idempotency, call);
      response
        .status(202)
        .location(`/v1/deployments/${resource.id}`)
        .set('Retry-After', pollAfterSeconds)
        .json(viewDeployment(resource));
    })
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'deployments:read');
      const filter = { service: parseInput(filterSchema, request.query).service ?? null };
      const page = parsePage(request);
      const { call } = contextOf(request);
      const found = await platform.deployments.list(tenantId, filter, page, call);
      sendPage(response, found, viewDeployment);
    })
    .all(methodNotAllowed('GET', 'POST'));

  router
    .route('/deployments/:id')
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'deployments:read');
      const id = parseId(request.params.id);
      const found = await platform.deployments.get(tenantId, id, contextOf(request).call);
      response.json(viewDeployment(found));
    })
    .all(methodNotAllowed('GET'));
  return router;
}
