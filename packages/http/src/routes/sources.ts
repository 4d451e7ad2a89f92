import { gitSourceRequestSchema, type Platform } from '@cygni/core';
import { Router } from 'express';
import { principalWith } from '../auth/authenticate.ts';
import { parseId, parseInput } from '../parse.ts';
import { methodNotAllowed, requireMediaType } from '../problem.ts';
import { contextOf } from '../request-context.ts';

const archives = ['application/gzip', 'application/x-gzip'];

/** Uploads of source archives, and git repositories that the server reads by itself. */
export function sourceRoutes(platform: Platform): Router {
  const router = Router();
  router
    .route('/sources')
    .post(requireMediaType(...archives, 'application/json'), async (request, response) => {
      const { tenantId } = principalWith(request, 'builds:write');
      const { call } = contextOf(request);
      const source = request.is([...archives])
        ? await platform.sources.upload(tenantId, request, call)
        : await platform.sources.fetchGit(
            tenantId,
            parseInput(gitSourceRequestSchema, request.body).git,
            call,
          );
      response.status(201).location(`/v1/sources/${source.id}`).json(source);
    })
    .all(methodNotAllowed('POST'));
  router
    .route('/sources/:id')
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'builds:read');
      const id = parseId(request.params.id);
      response.json(await platform.sources.get(tenantId, id, contextOf(request).call));
    })
    .all(methodNotAllowed('GET'));
  return router;
}
