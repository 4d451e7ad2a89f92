import {
  revisionSchema,
  rollbackRequestSchema,
  serviceNameSchema,
  serviceSchema,
} from '@cygni/core';
import { z } from 'zod';
import { entityTag, expectedBy } from '../entity-tag.ts';
import { exampleRevision, exampleRollback, exampleService } from '../examples.ts';
import { actOnce } from '../idempotency.ts';
import { defineOperation } from '../operation.ts';
import { answerPage, pageQuerySchema, pageSchema } from '../page.ts';
import { deploymentViewSchema, viewDeployment } from '../views.ts';

const tag = 'Services';
const parameters = z.strictObject({ name: serviceNameSchema.describe('Of the service.') });
const example = { parameters: { name: exampleService.name } };

const listServices = defineOperation({
  method: 'get',
  path: '/services',
  operationId: 'listServices',
  tag,
  summary: 'List services, newest first',
  scope: 'deployments:read',
  query: pageQuerySchema,
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(serviceSchema),
    example: { items: [exampleService], nextCursor: null },
    headers: { Link: 'The next page, as rel="next".' },
  },
  problems: [],
  answer(exchange, { query }) {
    const { platform, principal, call } = exchange;
    return answerPage(exchange, {
      query,
      read: (page) => platform.services.list(principal.tenantId, page, call),
      view: (service) => service,
    });
  },
});

const getService = defineOperation({
  method: 'get',
  path: '/services/{name}',
  operationId: 'getService',
  tag,
  summary: 'Look at a service',
  scope: 'deployments:read',
  parameters,
  success: {
    status: 200,
    description: 'The service.',
    schema: serviceSchema,
    example: exampleService,
    headers: { ETag: 'The state of the service, for If-Match.' },
  },
  problems: [404],
  example,
  async answer({ platform, principal, call }, { parameters: { name } }) {
    const { tenantId } = principal;
    const service = await platform.services.get({ tenantId, service: name }, call);
    return { status: 200, body: service, headers: { ETag: entityTag(service) } };
  },
});

const rollBackService = defineOperation({
  method: 'post',
  path: '/services/{name}:rollback',
  operationId: 'rollBackService',
  tag,
  summary: 'Return to an earlier revision',
  description: 'Never refused for the budget’s sake.',
  scope: 'deployments:write',
  idempotent: true,
  conditional: true,
  parameters,
  body: rollbackRequestSchema,
  success: {
    status: 202,
    description: 'The deployment of the earlier revision was accepted.',
    schema: deploymentViewSchema,
    example: viewDeployment(exampleRollback),
    headers: { Location: 'Where the deployment is.' },
  },
  problems: [404, 409, 422],
  example: { ...example, body: { revision: 3, message: exampleRollback.message } },
  async answer(exchange, { parameters: { name }, body }) {
    const { platform, principal, call, mount, request } = exchange;
    const key = { tenantId: principal.tenantId, service: name };
    const route = `POST /v1/services/${name}:rollback`;
    const expected = await expectedBy(request, () => platform.services.get(key, call));
    const { resource } = await actOnce(exchange, { route, body }, (idempotency) =>
      platform.deployments.rollBack(key, body, expected, idempotency, call),
    );
    return {
      status: 202,
      body: viewDeployment(resource),
      headers: { Location: `${mount}/v1/deployments/${resource.id}` },
    };
  },
});

const listRevisions = defineOperation({
  method: 'get',
  path: '/services/{name}/revisions',
  operationId: 'listRevisions',
  tag,
  summary: 'List the revisions of a service, newest first',
  scope: 'deployments:read',
  parameters,
  query: pageQuerySchema,
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(revisionSchema),
    example: { items: [exampleRevision], nextCursor: null },
    headers: { Link: 'The next page, as rel="next".' },
  },
  problems: [404],
  example,
  answer(exchange, { parameters: { name }, query }) {
    const { platform, principal, call } = exchange;
    const key = { tenantId: principal.tenantId, service: name };
    return answerPage(exchange, {
      query,
      read: (page) => platform.services.listRevisions(key, page, call),
      view: (revision) => revision,
    });
  },
});

export const serviceOperations = [listServices, rollBackService, getService, listRevisions];
