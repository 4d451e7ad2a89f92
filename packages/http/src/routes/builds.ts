import { type Build, buildRequestSchema, type Platform } from '@cygni/core';
import { Router } from 'express';
import { principalWith } from '../auth/authenticate.ts';
import { parseId, parseIdempotency, parseInput, parsePage } from '../parse.ts';
import { methodNotAllowed, requireMediaType } from '../problem.ts';
import { contextOf } from '../request-context.ts';
import { sendPage } from '../send-page.ts';
import { viewBuild } from '../views.ts';
import { serveLog } from './build-log.ts';

const pollAfterSeconds = '1';

export function buildRoutes(platform: Platform): Router {
  const router = Router();
  const view = (build: Build) => viewBuild(build, platform.registryHost);

  router
    .route('/builds')
    .post(requireMediaType('application/json'), async (request, response) => {
      const { tenantId } = principalWith(request, 'builds:write');
      const input = parseInput(buildRequestSchema, request.body);
      const retain = platform.settings.idempotencySeconds;
      const idempotency = parseIdempotency(request, 'POST /v1/builds', input, retain);
      const { call } = contextOf(request);
      const { resource } = await platform.builds.accept(tenantId, input, idempotency, call);
      response
        .status(202)
        .location(`/v1/builds/${resource.id}`)
        .set('Retry-After', pollAfterSeconds)
        .json(view(resource));
    })
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'builds:read');
      const page = parsePage(request);
      sendPage(response, await platform.builds.list(tenantId, page, contextOf(request).call), view);
    })
    .all(methodNotAllowed('GET', 'POST'));

  router
    .route('/builds/:id\\:cancel')
    .post(async (request, response) => {
      const { tenantId } = principalWith(request, 'builds:write');
      // Express's types take the escaped colon for a part of the parameter's name.
      const parameters: Record<string, unknown> = request.params;
      const id = parseId(parameters.id);
      const build = await platform.builds.cancel(tenantId, id, contextOf(request).call);
      response.status(202).location(`/v1/builds/${id}`).json(view(build));
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/builds/:id')
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'builds:read');
      const id = parseId(request.params.id);
      const build = await platform.builds.get(tenantId, id, contextOf(request).call);
      response.json(view(build));
    })
    .all(methodNotAllowed('GET'));

  router
    .route('/builds/:id/logs')
    .get((request, response) => serveLog(platform, request, response))
    .all(methodNotAllowed('GET'));
  return router;
}
