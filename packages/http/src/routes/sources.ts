import { gitSourceRequestSchema, idSchema, sourceSchema } from '@cygni/core';
import { z } from 'zod';
import { exampleGitSource, exampleSource } from '../examples.ts';
import { defineOperation } from '../operation.ts';

const tag = 'Sources';

const uploadSource = defineOperation({
  method: 'post',
  path: '/sources',
  operationId: 'uploadSource',
  tag,
  summary: 'Upload a source archive',
  scope: 'builds:write',
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
  problems: [],
  async answer({ platform, principal, call, request, mount }) {
    const source = await platform.sources.upload(principal.tenantId, request, call);
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
  body: gitSourceRequestSchema,
  success: {
    status: 201,
    description: 'The archive of the commit is stored.',
    schema: sourceSchema,
    example: exampleGitSource,
    headers: { Location: 'Where the source is.' },
  },
  problems: [413, 501],
  example: { body: { git: { url: exampleGitSource.git.url, ref: exampleGitSource.git.ref } } },
  async answer({ platform, principal, call, mount }, { body }) {
    const source = await platform.sources.fetchGit(principal.tenantId, body.git, call);
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
