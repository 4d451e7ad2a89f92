import { gitSourceRequestSchema, idSchema, sourceSchema } from '@cygni/core';
import { z } from 'zod';
import { exampleGitSource, exampleSource } from '../examples.ts';
import { actOnce } from '../idempotency.ts';
import { defineOperation } from '../operation.ts';

const tag = 'Sources';

const uploadSource = defineOperation({
  method: 'post',
  path: '/sources',
  operationId: 'uploadSource',
  tag,
  summary: 'Upload a source archive',
  scope: 'builds:write',
  idempotent: true,
  upload: {
    mediaTypes: ['application/gzip', 'application/x-gzip'],
    description: 'A tar archive, compressed by gzip.',
  },
  success: {
    status: 201,
    description: 'The archive is stored.',
    schema: sourceSchema,
    example: exampleSource,
    headers: { Location: 'Where the source is.' },
  },
  problems: [409, 422],
  async answer(exchange) {
    const { platform, principal, call, request, mount } = exchange;
    const upload = { route: 'POST /v1/sources', body: null };
    const source = await actOnce(exchange, upload, (idempotency) =>
      platform.sources.upload(principal.tenantId, request, idempotency, call),
    );
    return { status: 201, body: source, headers: { Location: `${mount}/v1/sources/${source.id}` } };
  },
});

const fetchSource = defineOperation({
  method: 'post',
  path: '/sources:fetch',
  operationId: 'fetchSource',
  tag,
  summary: 'Read a source from a public git repository',
  description:
    'Over https only, without submodules. The commit that the ref means is recorded; a build of the source is a build of that commit.',
  scope: 'builds:write',
  idempotent: true,
  body: gitSourceRequestSchema,
  success: {
    status: 201,
    description: 'The archive of the commit is stored.',
    schema: sourceSchema,
    example: exampleGitSource,
    headers: { Location: 'Where the source is.' },
  },
  problems: [409, 413, 422, 501],
  example: { body: { git: { url: exampleGitSource.git.url, ref: exampleGitSource.git.ref } } },
  async answer(exchange, { body }) {
    const { platform, principal, call, mount } = exchange;
    const request = { route: 'POST /v1/sources:fetch', body };
    const source = await actOnce(exchange, request, (idempotency) =>
      platform.sources.fetchGit(principal.tenantId, body.git, idempotency, call),
    );
    return { status: 201, body: source, headers: { Location: `${mount}/v1/sources/${source.id}` } };
  },
});

const getSource = defineOperation({
  method: 'get',
  path: '/sources/{id}',
  operationId: 'getSource',
  tag,
  summary: 'Look at a source',
  scope: 'builds:read',
  parameters: z.strictObject({ id: idSchema.describe('Of the source.') }),
  success: {
    status: 200,
    description: 'The source.',
    schema: sourceSchema,
    example: exampleSource,
  },
  problems: [404],
  example: { parameters: { id: exampleSource.id } },
  async answer({ platform, principal, call }, { parameters: { id } }) {
    return { status: 200, body: await platform.sources.get(principal.tenantId, id, call) };
  },
});

export const sourceOperations = [uploadSource, fetchSource, getSource];
