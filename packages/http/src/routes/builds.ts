import { buildRequestSchema, idSchema, logLineSchema } from '@cygni/core';
import { z } from 'zod';
import { exampleBuild, exampleQueuedBuild, exampleSource } from '../examples.ts';
import { actOnce } from '../idempotency.ts';
import { defineOperation } from '../operation.ts';
import { answerPage, pageQuerySchema, pageSchema } from '../page.ts';
import { queryInteger } from '../parse.ts';
import { buildViewSchema, viewBuild } from '../views.ts';
import { serveLog } from './build-log.ts';

const tag = 'Builds';
const pollAfterSeconds = '1';
const exampleRegistry = 'registry.example.com';
const parameters = z.strictObject({ id: idSchema.describe('Of the build.') });
const example = { parameters: { id: exampleBuild.id } };

const createBuild = defineOperation({
  method: 'post',
  path: '/builds',
  operationId: 'createBuild',
  tag,
  summary: 'Ask for a build of an uploaded source',
  description:
    'The build is accepted when it has been stored and its estimate is reserved; then it waits for a worker.',
  scope: 'builds:write',
  idempotent: true,
  body: buildRequestSchema,
  success: {
    status: 202,
    description: 'The build was accepted.',
    schema: buildViewSchema,
    example: viewBuild(exampleQueuedBuild, exampleRegistry),
    headers: {
      Location: 'Where the build is.',
      'Retry-After': 'Seconds until a look is worth it.',
    },
  },
  problems: [402, 404, 409, 422],
  example: {
    body: {
      sourceId: exampleSource.id,
      repository: exampleBuild.repository,
      tags: exampleBuild.tags,
      buildArguments: exampleBuild.buildArguments,
    },
  },
  async answer(exchange, { body }) {
    const { platform, principal, call, mount } = exchange;
    const request = { route: 'POST /v1/builds', body };
    const { resource } = await actOnce(exchange, request, (idempotency) =>
      platform.builds.accept(principal.tenantId, body, idempotency, call),
    );
    return {
      status: 202,
      body: viewBuild(resource, platform.registryHost),
      headers: { Location: `${mount}/v1/builds/${resource.id}`, 'Retry-After': pollAfterSeconds },
    };
  },
});

const listBuilds = defineOperation({
  method: 'get',
  path: '/builds',
  operationId: 'listBuilds',
  tag,
  summary: 'List builds, newest first',
  scope: 'builds:read',
  query: pageQuerySchema,
  success: {
    status: 200,
    description: 'One page.',
    schema: pageSchema(buildViewSchema),
    example: { items: [viewBuild(exampleBuild, exampleRegistry)], nextCursor: null },
    headers: { Link: 'The next page, as rel="next".' },
  },
  problems: [],
  example: { query: { limit: 20 } },
  answer(exchange, { query }) {
    const { platform, principal, call } = exchange;
    return answerPage(exchange, {
      query,
      read: (page) => platform.builds.list(principal.tenantId, page, call),
      view: (build) => viewBuild(build, platform.registryHost),
    });
  },
});

const getBuild = defineOperation({
  method: 'get',
  path: '/builds/{id}',
  operationId: 'getBuild',
  tag,
  summary: 'Look at a build',
  scope: 'builds:read',
  parameters,
  success: {
    status: 200,
    description: 'The build.',
    schema: buildViewSchema,
    example: viewBuild(exampleBuild, exampleRegistry),
  },
  problems: [404],
  example,
  async answer({ platform, principal, call }, { parameters: { id } }) {
    const build = await platform.builds.get(principal.tenantId, id, call);
    return { status: 200, body: viewBuild(build, platform.registryHost) };
  },
});

const cancelBuild = defineOperation({
  method: 'post',
  path: '/builds/{id}:cancel',
  operationId: 'cancelBuild',
  tag,
  summary: 'Cancel a build',
  description: 'A build that has ended stays as it is.',
  scope: 'builds:write',
  parameters,
  success: {
    status: 202,
    description: 'The build, which ends as soon as its worker hears of it.',
    schema: buildViewSchema,
    example: viewBuild(exampleBuild, exampleRegistry),
    headers: { Location: 'Where the build is.' },
  },
  problems: [404],
  example,
  async answer({ platform, principal, call, mount }, { parameters: { id } }) {
    const build = await platform.builds.cancel(principal.tenantId, id, call);
    return {
      status: 202,
      body: viewBuild(build, platform.registryHost),
      headers: { Location: `${mount}/v1/builds/${id}` },
    };
  },
});

const getBuildLog = defineOperation({
  method: 'get',
  path: '/builds/{id}/logs',
  operationId: 'getBuildLog',
  tag,
  summary: 'Read or follow the log of a build',
  description:
    'JSON: one page of lines. `Accept: text/event-stream`: every line from there on as it comes, with its sequence as the event’s id; the last event is `end` and tells the state.',
  scope: 'builds:read',
  parameters,
  query: z.strictObject({
    after: queryInteger({ least: 0, highest: Number.MAX_SAFE_INTEGER })
      .default(0)
      .describe('Lines after this sequence.'),
    limit: queryInteger({ least: 1, highest: 1_000 })
      .default(200)
      .describe('Of a page: how many at most. A larger number than 1000 is lowered to it.'),
  }),
  headers: z.object({
    'last-event-id': z
      .string()
      .regex(/^\d{1,15}$/)
      .optional()
      .describe('Of a stream: go on after this sequence.'),
  }),
  success: {
    status: 200,
    description: 'Lines of the log.',
    schema: z.strictObject({
      items: z.array(logLineSchema),
      nextAfter: z.int().nonnegative().describe('`after` of the next page.'),
    }),
    example: {
      items: [
        { sequence: 1, attempt: 1, time: '2026-03-02T10:15:05.310Z', text: 'FROM node:24-slim' },
      ],
      nextAfter: 1,
    },
    alternative: {
      mediaType: 'text/event-stream',
      description: 'Server-sent events, one a line.',
    },
  },
  problems: [404],
  example: { ...example, query: { after: 0, limit: 100 } },
  async answer({ platform, request, response }) {
    await serveLog(platform, request, response);
    return undefined;
  },
});

export const buildOperations = [createBuild, listBuilds, cancelBuild, getBuild, getBuildLog];
