import { budgetRequestSchema, type Platform } from '@cygni/core';
import { Router } from 'express';
import { principalWith } from '../auth/authenticate.ts';
import { parseInput } from '../parse.ts';
import { methodNotAllowed, requireMediaType } from '../problem.ts';
import { contextOf } from '../request-context.ts';

/** The account of the caller's tenant in the present period. */
export function budgetRoutes(platform: Platform): Router {
  const router = Router();
  router
    .route('/budgets/current')
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'budgets:read');
      response.json(await platform.budgets.get(tenantId, contextOf(request).call));
    })
    .put(requireMediaType('application/json'), async (request, response) => {
      const { tenantId } = principalWith(request, 'budgets:write');
      const input = parseInput(budgetRequestSchema, request.body);
      response.json(await platform.budgets.set(tenantId, input, contextOf(request).call));
    })
    .all(methodNotAllowed('GET', 'PUT'));
  return router;
}
