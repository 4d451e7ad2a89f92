import { gitSourceRequestSchema, idSchema, sourceSchema } from '@cygni/core';
import { z } from 'zod';
import { exampleSource } from '../examples.ts';
import { defineOperation, isUpload } from '../operation.ts';

const tag = 'Sources';

const upload = {
  mediaTypes: ['application/gzip', 'application/x-gzip'],
  description: 'A tar archive, compressed by gzip; or which git repository to read.',
};

const addSource = defineOperation({
  method: 'post',
  path: '/sources',
  operationId: 'addSource',
  tag,
  summary: 'Upload a source archive, or have a git repository read',
  description: 'Of a repository one commit is read, and noted.',
  scope: 'builds:write',
  upload,
  body: gitSourceRequestSchema,
  success: {
    status: 201,
    description: 'The archive is stored.',
    schema: sourceSchema,
    example: exampleSource,
    headers: { Location: 'Where the source is.' },
  },
  problems: [422],
  example: { body: { git: { url: 'https://git.example/web/shop.git', ref: 'v1.4.0' } } },
  async answer({ platform, principal, call, request, mount }, { body }) {
    const { tenantId } = principal;
    const source = isUpload({ upload }, request)
      ? await platform.sources.upload(tenantId, request, call)
      : await platform.sources.fetchGit(tenantId, body.git, call);
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

export const sourceOperations = [addSource, getSource];
