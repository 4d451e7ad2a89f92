import {
  idSchema,
  isCygniError,
  preconditionError,
  rotateSecretRequestSchema,
  webhookDeliverySchema,
  webhookEndpointChangesSchema,
  webhookEndpointRequestSchema,
} from '@cygni/core';
import type { Request } from 'express';
import { z } from 'zod';
import { exampleDelivery, exampleEndpoint, exampleSecret } from '../examples.ts';
import { defineOperation } from '../operation.ts';
import { answerPage, pageQuerySchema, pageSchema } from '../page.ts';
import {
  endpointTag,
  endpointViewSchema,
  endpointWithSecretViewSchema,
  versionOf,
  viewEndpoint,
  viewNewSecret,
} from '../webhook-views.ts';

const tag = 'Webhooks';
const id = idSchema.describe('Of the endpoint.');
const parameters = z.strictObject({ id });
const deliveryParameters = z.strictObject({
  id,
  delivery: idSchema.describe('Of the delivery.'),
});
const example = { parameters: { id: exampleEndpoint.id } };
const deliveryExample = {
  parameters: { id: exampleEndpoint.id, delivery: exampleDelivery.id },
};
const headers = { ETag: 'The state of the endpoint, for If-Match.' };
const link = { Link: 'The next page, as rel="next".' };
const shown = { schema: endpointViewSchema, example: viewEndpoint(exampleEndpoint), headers };
const shownWithSecret = {
  schema: endpointWithSecretViewSchema,
  example: viewNewSecret({ endpoint: exampleEndpoint, secret: exampleSecret }),
};

const createEndpoint = defineOperation({
  method: 'post',
  path: '/webhook-endpoints',
  operationId: 'createWebhookEndpoint',
  tag,
  summary: 'Have events sent somewhere',
  description: 'The secret that signs them (Standard Webhooks) is in this answer only.',
  scope: 'webhooks:write',
  body: webhookEndpointRequestSchema,
  success: {
    status: 201,
    description: 'The endpoint, with its secret.',
    ...shownWithSecret,
    headers: { ...headers, Location: 'Where the endpoint is.' },
  },
  problems: [],
  example: { body: { url: exampleEndpoint.url, eventTypes: exampleEndpoint.eventTypes } },
  async answer({ platform, principal, call, mount }, { body }) {
    const made = await platform.webhooks.create(principal.tenantId, body, call);
    return {
      status: 201,
      body: viewNewSecret(made),
      headers: {
        ETag: endpointTag(made.endpoint),
        Location: `${mount}/v1/webhook-endpoints/${made.endpoint.id}`,
        'Cache-Control': 'no-store',
      },
    };
  },
});

const listEndpoints = defineOperation({
  method: 'get',
  path: '/webhook-endpoints',
  operationId: 'listWebhookEndpoints',
  tag,
  summary: 'List endpoints, newest first',
  scope: 'webhooks:read',
  query: pageQuerySchema,
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(endpointViewSchema),
    example: { items: [viewEndpoint(exampleEndpoint)], nextCursor: null },
    headers: link,
  },
  problems: [],
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
  summary: 'Give an endpoint another secret',
  description: 'The one before signs beside it for as long as is said.',
  scope: 'webhooks:write',
  parameters,
  body: rotateSecretRequestSchema,
  success: {
    status: 200,
    description: 'The endpoint, with its new secret.',
    ...shownWithSecret,
    headers,
  },
  problems: [404],
  example: { ...example, body: { overlapSeconds: 3_600 } },
  async answer({ platform, principal, call }, { parameters: { id }, body }) {
    const made = await platform.webhooks.rotateSecret(principal.tenantId, id, body, call);
    const noted = { ETag: endpointTag(made.endpoint), 'Cache-Control': 'no-store' };
    return { status: 200, body: viewNewSecret(made), headers: noted };
  },
});

const getEndpoint = defineOperation({
  method: 'get',
  path: '/webhook-endpoints/{id}',
  operationId: 'getWebhookEndpoint',
  tag,
  summary: 'Look at an endpoint',
  scope: 'webhooks:read',
  parameters,
  success: { status: 200, description: 'The endpoint.', ...shown },
  problems: [404],
  example,
  async answer({ platform, principal, call }, { parameters: { id } }) {
    const endpoint = await platform.webhooks.get(principal.tenantId, id, call);
    return { status: 200, body: viewEndpoint(endpoint), headers: { ETag: endpointTag(endpoint) } };
  },
});

const changeEndpoint = defineOperation({
  method: 'patch',
  path: '/webhook-endpoints/{id}',
  operationId: 'changeWebhookEndpoint',
  tag,
  summary: 'Change an endpoint',
  description: 'What is left out stays as it is.',
  scope: 'webhooks:write',
  conditional: true,
  parameters,
  body: webhookEndpointChangesSchema,
  success: { status: 200, description: 'The endpoint as it is now.', ...shown },
  problems: [404],
  example: { ...example, body: { description: exampleEndpoint.description } },
  async answer({ platform, principal, call, request }, { parameters: { id }, body }) {
    const endpoint = await unlessChanged(request, (version) =>
      platform.webhooks.update(principal.tenantId, id, body, version, call),
    );
    return { status: 200, body: viewEndpoint(endpoint), headers: { ETag: endpointTag(endpoint) } };
  },
});

const deleteEndpoint = defineOperation({
  method: 'delete',
  path: '/webhook-endpoints/{id}',
  operationId: 'deleteWebhookEndpoint',
  tag,
  summary: 'Delete an endpoint and its deliveries',
  scope: 'webhooks:write',
  conditional: true,
  parameters,
  success: { status: 204, description: 'It is gone.' },
  problems: [404],
  example,
  async answer({ platform, principal, call, request }, { parameters: { id } }) {
    await unlessChanged(request, (version) =>
      platform.webhooks.delete(principal.tenantId, id, version, call),
    );
    return { status: 204 };
  },
});

const listDeliveries = defineOperation({
  method: 'get',
  path: '/webhook-endpoints/{id}/deliveries',
  operationId: 'listWebhookDeliveries',
  tag,
  summary: 'List the deliveries to an endpoint, newest first',
  scope: 'webhooks:read',
  parameters,
  query: pageQuerySchema,
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(webhookDeliverySchema),
    example: { items: [exampleDelivery], nextCursor: null },
    headers: link,
  },
  problems: [404],
  example,
  answer(exchange, { parameters: { id }, query }) {
    const { platform, principal, call } = exchange;
    return answerPage(exchange, {
      query,
      read: (page) => platform.webhooks.listDeliveries(principal.tenantId, id, page, call),
      view: (delivery) => delivery,
    });
  },
});

const redeliver = defineOperation({
  method: 'post',
  path: '/webhook-endpoints/{id}/deliveries/{delivery}:redeliver',
  operationId: 'redeliverWebhook',
  tag,
  summary: 'Deliver an event once more',
  scope: 'webhooks:write',
  parameters: deliveryParameters,
  success: {
    status: 202,
    description: 'It will be tried soon.',
    schema: webhookDeliverySchema,
    example: exampleDelivery,
    headers: { Location: 'Where the delivery is.' },
  },
  problems: [404, 409],
  example: deliveryExample,
  async answer({ platform, principal, call, mount }, { parameters: { id, delivery } }) {
    const body = await platform.webhooks.redeliver(principal.tenantId, id, delivery, call);
    const location = `${mount}/v1/webhook-endpoints/${id}/deliveries/${delivery}`;
    return { status: 202, body, headers: { Location: location } };
  },
});

const getDelivery = defineOperation({
  method: 'get',
  path: '/webhook-endpoints/{id}/deliveries/{delivery}',
  operationId: 'getWebhookDelivery',
  tag,
  summary: 'Look at a delivery',
  scope: 'webhooks:read',
  parameters: deliveryParameters,
  success: {
    status: 200,
    description: 'The delivery.',
    schema: webhookDeliverySchema,
    example: exampleDelivery,
  },
  problems: [404],
  example: deliveryExample,
  async answer({ platform, principal, call }, { parameters: { id, delivery } }) {
    const body = await platform.webhooks.getDelivery(principal.tenantId, id, delivery, call);
    return { status: 200, body };
  },
});

export const webhookOperations = [
  createEndpoint,
  listEndpoints,
  rotateSecret,
  redeliver,
  getDelivery,
  listDeliveries,
  getEndpoint,
  changeEndpoint,
  deleteEndpoint,
];

/** Does it where the resource is what `If-Match` says. @throws `precondition_failed` */
async function unlessChanged<Value>(
  { headers }: Request,
  work: (version: number | null) => Promise<Value>,
): Promise<Value> {
  const version = versionOf(headers['if-match']);
  try {
    return await work(version);
  } catch (error) {
    if (version === null || !isCygniError(error, 'conflict')) throw error;
    throw preconditionError();
  }
}
