import {
  isCygniError,
  type Platform,
  rotateSecretRequestSchema,
  type WebhookEndpoint,
  webhookEndpointChangesSchema,
  webhookEndpointRequestSchema,
} from '@cygni/core';
import { type Request, type Response, Router } from 'express';
import { principalWith } from '../auth/authenticate.ts';
import type { Scope } from '../auth/principal.ts';
import { parseId, parseInput, parsePage } from '../parse.ts';
import { methodNotAllowed, requireMediaType, sendProblem } from '../problem.ts';
import { contextOf } from '../request-context.ts';
import { sendPage } from '../send-page.ts';
import { endpointTag, versionOf, viewEndpoint, viewNewSecret } from '../webhook-views.ts';

const json = requireMediaType('application/json');

/** Where the caller's events are sent to, and what became of each. */
export function webhookRoutes({ webhooks }: Platform): Router {
  const router = Router();
  const whose = (request: Request, scope: Scope): [tenantId: string, id: string] => [
    principalWith(request, scope).tenantId,
    parseId(parametersOf(request).id),
  ];
  const send = (response: Response, endpoint: WebhookEndpoint) =>
    response.set('ETag', endpointTag(endpoint)).json(viewEndpoint(endpoint));

  router
    .route('/webhook-endpoints')
    .post(json, async (request, response) => {
      const { tenantId } = principalWith(request, 'webhooks:write');
      const input = parseInput(webhookEndpointRequestSchema, request.body);
      const made = await webhooks.create(tenantId, input, contextOf(request).call);
      response
        .status(201)
        .location(`/v1/webhook-endpoints/${made.endpoint.id}`)
        .set({ ETag: endpointTag(made.endpoint), 'Cache-Control': 'no-store' })
        .json(viewNewSecret(made));
    })
    .get(async (request, response) => {
      const { tenantId } = principalWith(request, 'webhooks:read');
      const page = parsePage(request);
      const found = await webhooks.list(tenantId, page, contextOf(request).call);
      sendPage(response, found, viewEndpoint);
    })
    .all(methodNotAllowed('GET', 'POST'));

  router
    .route('/webhook-endpoints/:id\\:rotate-secret')
    .post(json, async (request, response) => {
      const [tenantId, id] = whose(request, 'webhooks:write');
      const input = parseInput(rotateSecretRequestSchema, request.body);
      const made = await webhooks.rotateSecret(tenantId, id, input, contextOf(request).call);
      response
        .set({ ETag: endpointTag(made.endpoint), 'Cache-Control': 'no-store' })
        .json(viewNewSecret(made));
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/webhook-endpoints/:id')
    .get(async (request, response) => {
      const [tenantId, id] = whose(request, 'webhooks:read');
      send(response, await webhooks.get(tenantId, id, contextOf(request).call));
    })
    .patch(json, async (request, response) => {
      const [tenantId, id] = whose(request, 'webhooks:write');
      const input = parseInput(webhookEndpointChangesSchema, request.body);
      await unlessChanged(request, response, async (version) => {
        const { call } = contextOf(request);
        send(response, await webhooks.update(tenantId, id, input, version, call));
      });
    })
    .delete(async (request, response) => {
      const [tenantId, id] = whose(request, 'webhooks:write');
      await unlessChanged(request, response, async (version) => {
        await webhooks.delete(tenantId, id, version, contextOf(request).call);
        response.status(204).end();
      });
    })
    .all(methodNotAllowed('GET', 'PATCH', 'DELETE'));

  router
    .route('/webhook-endpoints/:id/deliveries')
    .get(async (request, response) => {
      const [tenantId, id] = whose(request, 'webhooks:read');
      const page = parsePage(request);
      const found = await webhooks.listDeliveries(tenantId, id, page, contextOf(request).call);
      sendPage(response, found, (delivery) => delivery);
    })
    .all(methodNotAllowed('GET'));

  router
    .route('/webhook-endpoints/:id/deliveries/:delivery\\:redeliver')
    .post(async (request, response) => {
      const [tenantId, id] = whose(request, 'webhooks:write');
      const delivery = parseId(parametersOf(request).delivery);
      const { call } = contextOf(request);
      const resource = await webhooks.redeliver(tenantId, id, delivery, call);
      const location = `/v1/webhook-endpoints/${id}/deliveries/${delivery}`;
      response.status(202).location(location).json(resource);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/webhook-endpoints/:id/deliveries/:delivery')
    .get(async (request, response) => {
      const [tenantId, id] = whose(request, 'webhooks:read');
      const delivery = parseId(parametersOf(request).delivery);
      const { call } = contextOf(request);
      response.json(await webhooks.getDelivery(tenantId, id, delivery, call));
    })
    .all(methodNotAllowed('GET'));
  return router;
}

/** Express's types take an escaped colon for a part of the parameter's name. */
function parametersOf(request: Request): Record<string, unknown> {
  return request.params;
}

/** Does it where the resource is what `If-Match` says; else answers 412. */
async function unlessChanged(
  request: Request,
  response: Response,
  work: (version: number | null) => Promise<void>,
): Promise<void> {
  const version = versionOf(request.headers['if-match']);
  try {
    await work(version);
  } catch (error) {
    if (version === null || !isCygniError(error, 'conflict')) throw error;
    const problem = { status: 412, code: 'precondition-failed', detail: error.message };
    sendProblem(response, problem);
  }
}
