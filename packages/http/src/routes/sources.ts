import type { Platform } from '@cygni/core';
import { Router } from 'express';
import { principalWith } from '../auth/authenticate.ts';
import { parseId } from '../parse.ts';
import { methodNotAllowed, requireMediaType } from '../problem.ts';
import { contextOf } from '../request-context.ts';

/** Uploads of source archives. */
export function sourceRoutes(platform: Platform): Router {
  const router = Router();
  router
    .route('/sources')
    .post(requireMediaType('application/gzip', 'application/x-gzip'), async (request, response) => {
      const { tenantId } = principalWith(request, 'builds:write');
      const source = await platform.sources.upload(tenantId, request, contextOf(request).call);
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
