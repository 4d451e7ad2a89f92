import {
  idSchema,
  rotateSecretRequestSchema,
  type WebhookEndpoint,
  webhookEndpointChangesSchema,
  webhookEndpointRequestSchema,
} from '@cygni/core';
import { z } from 'zod';
import { entityTag, expectedBy } from '../entity-tag.ts';
import { exampleEndpoint, exampleSecret } from '../examples.ts';
import { actOnce } from '../idempotency.ts';
import { defineOperation } from '../operation.ts';
import { answerPage, pageQuerySchema, pageSchema } from '../page.ts';
import {
  endpointViewSchema,
  newSecretViewSchema,
  viewEndpoint,
  viewNewSecret,
} from '../webhook-views.ts';
import { deliveryOperations } from './webhook-deliveries.ts';

const tag = 'Webhooks';
const parameters = z.strictObject({ id: idSchema.describe('Of the endpoint.') });
const example = { parameters: { id: exampleEndpoint.id } };
const headers = { ETag: 'The state of the endpoint, for If-Match.' };
const endpointResponse = {
  description: 'The endpoint.',
  schema: endpointViewSchema,
  example: viewEndpoint(exampleEndpoint),
  headers,
};
const secretResponse = {
  schema: newSecretViewSchema,
  example: viewNewSecret({ endpoint: exampleEndpoint, secret: exampleSecret }),
};
/** A secret stays in no cache. */
const secretHeaders = (endpoint: WebhookEndpoint) => ({
  ETag: entityTag(endpoint),
  'Cache-Control': 'no-store',
});

const createEndpoint = defineOperation({
  method: 'post',
  path: '/webhook-endpoints',
  operationId: 'createWebhookEndpoint',
  tag,
  summary: 'Have events sent to an address',
  description:
    'By the rules of Standard Webhooks, signed with the secret that this answer shows. The first event that is sent is the endpoint’s own `webhook_endpoint.created`.',
  scope: 'webhooks:write',
  idempotent: true,
  body: webhookEndpointRequestSchema,
  success: {
    status: 201,
    description: 'The endpoint, with its secret.',
    ...secretResponse,
    headers: { ...headers, Location: 'Where the endpoint is.' },
  },
  problems: [409, 422, 501],
  example: { body: { url: exampleEndpoint.url, eventTypes: exampleEndpoint.eventTypes } },
  async answer(exchange, { body }) {
    const { platform, principal, call, mount } = exchange;
    const request = { route: 'POST /v1/webhook-endpoints', body };
    const made = await actOnce(exchange, request, (idempotency) =>
      platform.webhooks.create(principal.tenantId, body, idempotency, call),
    );
    const Location = `${mount}/v1/webhook-endpoints/${made.endpoint.id}`;
    return {
      status: 201,
      body: viewNewSecret(made),
      headers: { ...secretHeaders(made.endpoint), Location },
    };
  },
});

const listEndpoints = defineOperation({
  method: 'get',
  path: '/webhook-endpoints',
  operationId: 'listWebhookEndpoints',
  tag,
  summary: 'List webhook endpoints, newest first',
  scope: 'webhooks:read',
  query: pageQuerySchema,
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(endpointViewSchema),
    example: { items: [viewEndpoint(exampleEndpoint)], nextCursor: null },
    headers: { Link: 'The next page, as rel="next".' },
  },
  problems: [501],
  answer(exchange, { query }) {
    const { platform, principal, call } = exchange;
    return answerPage(exchange, {
      query,
      read: (page) => platform.webhooks.list(principal.tenantId, page, call),
      view: viewEndpoint,
    });
  },
});

const rotateSecret = defineOperation({
  method: 'post',
  path: '/webhook-endpoints/{id}:rotate-secret',
  operationId: 'rotateWebhookSecret',
  tag,
  summary: 'Give an endpoint a new secret',
  description: 'For a while, messages are signed with both.',
  scope: 'webhooks:write',
  idempotent: true,
  parameters,
  body: rotateSecretRequestSchema,
  success: { status: 200, description: 'With the new secret.', ...secretResponse, headers },
  problems: [404, 409, 422, 501],
  example: { ...example, body: { overlapSeconds: 3_600 } },
  async answer(exchange, { parameters: { id }, body }) {
    const { platform, principal, call } = exchange;
    const route = `POST /v1/webhook-endpoints/${id}:rotate-secret`;
    const made = await actOnce(exchange, { route, body }, (idempotency) =>
      platform.webhooks.rotateSecret(principal.tenantId, id, body, idempotency, call),
    );
    return { status: 200, body: viewNewSecret(made), headers: secretHeaders(made.endpoint) };
  },
});

const getEndpoint = defineOperation({
  method: 'get',
  path: '/webhook-endpoints/{id}',
  operationId: 'getWebhookEndpoint',
  tag,
  summary: 'Look at a webhook endpoint',
  scope: 'webhooks:read',
  parameters,
  success: { status: 200, ...endpointResponse },
  problems: [404, 501],
  example,
  async answer({ platform, principal, call }, { parameters: { id } }) {
    return answerOf(await platform.webhooks.get(principal.tenantId, id, call));
  },
});

const updateEndpoint = defineOperation({
  method: 'patch',
  path: '/webhook-endpoints/{id}',
  operationId: 'updateWebhookEndpoint',
  tag,
  summary: 'Change a webhook endpoint',
  description: 'What is absent stays as it is. One that answered 410 is enabled again here.',
  scope: 'webhooks:write',
  conditional: true,
  parameters,
  body: webhookEndpointChangesSchema,
  success: { status: 200, ...endpointResponse },
  problems: [404, 501],
  example: { ...example, body: { description: 'For the chat' } },
  async answer({ platform, principal, call, request }, { parameters: { id }, body }) {
    const { tenantId } = principal;
    const expected = await expectedBy(request, () => platform.webhooks.get(tenantId, id, call));
    const version = expected?.version ?? null;
    return answerOf(await platform.webhooks.update(tenantId, id, body, version, call));
  },
});

const deleteEndpoint = defineOperation({
  method: 'delete',
  path: '/webhook-endpoints/{id}',
  operationId: 'deleteWebhookEndpoint',
  tag,
  summary: 'Remove a webhook endpoint, with its deliveries',
  scope: 'webhooks:write',
  conditional: true,
  parameters,
  success: { status: 200, ...endpointResponse, description: 'The endpoint that was removed.' },
  problems: [404, 501],
  example,
  async answer({ platform, principal, call, request }, { parameters: { id } }) {
    const { tenantId } = principal;
    const found = await platform.webhooks.get(tenantId, id, call);
    const expected = await expectedBy(request, async () => found);
    await platform.webhooks.delete(tenantId, id, expected?.version ?? null, call);
    return { status: 200, body: viewEndpoint(found) };
  },
});

function answerOf(endpoint: WebhookEndpoint) {
  return {
    status: 200,
    body: viewEndpoint(endpoint),
    headers: { ETag: entityTag(endpoint) },
  };
}

export const webhookOperations = [
  listEndpoints,
  createEndpoint,
  rotateSecret,
  ...deliveryOperations,
  getEndpoint,
  updateEndpoint,
  deleteEndpoint,
];
