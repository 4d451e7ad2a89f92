import { deploymentRequestSchema, idSchema, serviceNameSchema } from '@cygni/core';
import { z } from 'zod';
import { exampleBuild, exampleDeployment, exampleRevision } from '../examples.ts';
import { actOnce } from '../idempotency.ts';
import { defineOperation } from '../operation.ts';
import { answerPage, pageQuerySchema, pageSchema } from '../page.ts';
import { deploymentViewSchema, viewDeployment } from '../views.ts';

const tag = 'Deployments';
const pollAfterSeconds = '1';

const createDeployment = defineOperation({
  method: 'post',
  path: '/deployments',
  operationId: 'createDeployment',
  tag,
  summary: 'Deploy a build or an image',
  description:
    'The service is made if there is none of the name. The revision that has the traffic keeps it until the new one is healthy.',
  scope: 'deployments:write',
  idempotent: true,
  body: deploymentRequestSchema,
  success: {
    status: 202,
    description: 'The deployment was accepted.',
    schema: deploymentViewSchema,
    example: viewDeployment(exampleDeployment),
    headers: {
      Location: 'Where the deployment is.',
      'Retry-After': 'Seconds until a look is worth it.',
    },
  },
  problems: [402, 404, 409, 422],
  example: {
    body: {
      service: exampleDeployment.service,
      buildId: exampleBuild.id,
      environment: exampleRevision.environment,
      healthCheck: { path: exampleRevision.healthCheck.path },
    },
  },
  async answer(exchange, { body }) {
    const { platform, principal, call, mount } = exchange;
    const request = { route: 'POST /v1/deployments', body };
    const { resource } = await actOnce(exchange, request, (idempotency) =>
      platform.deployments.accept(principal.tenantId, body, idempotency, call),
    );
    return {
      status: 202,
      body: viewDeployment(resource),
      headers: {
        Location: `${mount}/v1/deployments/${resource.id}`,
        'Retry-After': pollAfterSeconds,
      },
    };
  },
});

const listDeployments = defineOperation({
  method: 'get',
  path: '/deployments',
  operationId: 'listDeployments',
  tag,
  summary: 'List deployments, newest first',
  scope: 'deployments:read',
  query: pageQuerySchema.extend({
    service: serviceNameSchema.optional().describe('Only those of this service.'),
  }),
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(deploymentViewSchema),
    example: { items: [viewDeployment(exampleDeployment)], nextCursor: null },
    headers: { Link: 'The next page, as rel="next".' },
  },
  problems: [],
  example: { query: { service: exampleDeployment.service } },
  answer(exchange, { query }) {
    const { platform, principal, call } = exchange;
    const filter = { service: query.service ?? null };
    return answerPage(exchange, {
      query,
      read: (page) => platform.deployments.list(principal.tenantId, filter, page, call),
      view: viewDeployment,
    });
  },
});

const getDeployment = defineOperation({
  method: 'get',
  path: '/deployments/{id}',
  operationId: 'getDeployment',
  tag,
  summary: 'Look at a deployment',
  scope: 'deployments:read',
  parameters: z.strictObject({ id: idSchema.describe('Of the deployment.') }),
  success: {
    status: 200,
    description: 'The deployment.',
    schema: deploymentViewSchema,
    example: viewDeployment(exampleDeployment),
  },
  problems: [404],
  example: { parameters: { id: exampleDeployment.id } },
  async answer({ platform, principal, call }, { parameters: { id } }) {
    const found = await platform.deployments.get(principal.tenantId, id, call);
    return { status: 200, body: viewDeployment(found) };
  },
});

export const deploymentOperations = [createDeployment, listDeployments, getDeployment];
