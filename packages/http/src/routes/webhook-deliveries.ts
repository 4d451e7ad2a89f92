import { idSchema, webhookDeliverySchema } from '@cygni/core';
import { z } from 'zod';
import { exampleDelivery } from '../examples.ts';
import { defineOperation } from '../operation.ts';
import { answerPage, pageQuerySchema, pageSchema } from '../page.ts';

const tag = 'Webhooks';
const endpointParameter = z.strictObject({ id: idSchema.describe('Of the endpoint.') });
const parameters = endpointParameter.extend({ delivery: idSchema.describe('Of the delivery.') });
const example = { parameters: { id: exampleDelivery.endpointId, delivery: exampleDelivery.id } };

const listDeliveries = defineOperation({
  method: 'get',
  path: '/webhook-endpoints/{id}/deliveries',
  operationId: 'listWebhookDeliveries',
  tag,
  summary: 'List what was sent to an endpoint, newest first',
  scope: 'webhooks:read',
  parameters: endpointParameter,
  query: pageQuerySchema,
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(webhookDeliverySchema),
    example: { items: [exampleDelivery], nextCursor: null },
    headers: { Link: 'The next page, as rel="next".' },
  },
  problems: [404, 501],
  example: { parameters: { id: exampleDelivery.endpointId } },
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
  summary: 'Send an event again',
  description: 'Now, and with all retries before it. Its id stays the same.',
  scope: 'webhooks:write',
  parameters,
  success: {
    status: 202,
    description: 'The delivery, which is due now.',
    schema: webhookDeliverySchema,
    example: exampleDelivery,
    headers: { Location: 'Where the delivery is.' },
  },
  problems: [404, 409, 501],
  example,
  async answer({ platform, principal, call, mount }, { parameters: { id, delivery } }) {
    const body = await platform.webhooks.redeliver(principal.tenantId, id, delivery, call);
    const Location = `${mount}/v1/webhook-endpoints/${id}/deliveries/${delivery}`;
    return { status: 202, body, headers: { Location } };
  },
});

const getDelivery = defineOperation({
  method: 'get',
  path: '/webhook-endpoints/{id}/deliveries/{delivery}',
  operationId: 'getWebhookDelivery',
  tag,
  summary: 'Look at what became of an event',
  scope: 'webhooks:read',
  parameters,
  success: {
    status: 200,
    description: 'The delivery.',
    schema: webhookDeliverySchema,
    example: exampleDelivery,
  },
  problems: [404, 501],
  example,
  async answer({ platform, principal, call }, { parameters: { id, delivery } }) {
    const { tenantId } = principal;
    return {
      status: 200,
      body: await platform.webhooks.getDelivery(tenantId, id, delivery, call),
    };
  },
});

export const deliveryOperations = [listDeliveries, redeliver, getDelivery];
