import type { z } from 'zod';
import { scopes } from '../auth/principal.ts';
import { conditionHeaderSchema } from '../entity-tag.ts';
import { idempotencyHeaderSchema } from '../idempotency.ts';
import type { Operation } from '../operation.ts';
import { problemSchema, titles } from '../problem.ts';
import { describeComponents, describeInput, describeOutput } from './components.ts';

/** Headers that every answer has. */
const commonHeaders = { 'X-Request-Id': 'Of this request, to be quoted in questions about it.' };

/** The OpenAPI 3.1 document of the operations, below where the router is mounted. */
export function describeApi(operations: readonly Operation[], mount: string) {
  const paths = Map.groupBy(operations, ({ path }) => `${mount}/v1${path}`);
  return {
    openapi: '3.1.1',
    info: {
      title: 'Cygni',
      version: '1',
      description:
        'Builds images from sources, deploys them by digest, watches them and rolls them back. Work that takes time is answered with 202 and the whole resource, which is then asked for its state. Errors are problem details (RFC 9457).',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
    paths: Object.fromEntries(
      [...paths].map(([path, ofPath]) => [
        path,
        Object.fromEntries(ofPath.map((each) => [each.method, describeOperation(each)])),
      ]),
    ),
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: `Its claim \`scope\` has some of: ${scopes.join(', ')}.`,
        },
      },
      schemas: describeComponents(),
    },
  };
}

function describeOperation(operation: Operation) {
  const { operationId, tag, summary, description, scope, example } = operation;
  return {
    operationId,
    tags: [tag],
    summary,
    description: [description, `Needs the scope \`${scope}\`.`].filter(Boolean).join(' '),
    security: [{ bearer: [] }],
    'x-scope': scope,
    parameters: [
      ...describeParameters('path', operation.parameters, example.parameters),
      ...describeParameters('query', operation.query, example.query),
      ...describeParameters('header', operation.headers),
      ...(operation.idempotent ? describeParameters('header', idempotencyHeaderSchema) : []),
      ...(operation.conditional ? describeParameters('header', conditionHeaderSchema) : []),
    ],
    ...describeBody(operation),
    responses: {
      [operation.success.status]: describeSuccess(operation.success),
      ...Object.fromEntries(
        problemsOf(operation).map((status) => [status, describeProblem(status)]),
      ),
    },
  };
}

function describeParameters(
  place: 'path' | 'query' | 'header',
  schema: z.ZodObject | undefined,
  examples: RequestValues = {},
) {
  const { properties = {}, required = [] } = schema ? describeInput(schema) : {};
  const mustBeThere = new Set(Array.isArray(required) ? required : []);
  return Object.entries(Object(properties)).map(([name, described]) => {
    const { description, ...rest } = Object(described);
    return {
      name,
      in: place,
      required: mustBeThere.has(name),
      description,
      schema: rest,
      ...(name in examples ? { example: examples[name] } : {}),
    };
  });
}

type RequestValues = Readonly<Record<string, string | number>>;

function describeBody({ body, upload, example }: Operation) {
  if (body) {
    const schema = describeInput(body);
    const content = { 'application/json': { schema, example: example.body } };
    return { requestBody: { required: true, content } };
  }
  if (!upload) return {};
  const content = Object.fromEntries(upload.mediaTypes.map((mediaType) => [mediaType, {}]));
  return { requestBody: { required: true, description: upload.description, content } };
}

function describeSuccess(success: Operation['success']) {
  const { description, schema, example, headers, alternative } = success;
  return {
    description,
    headers: describeHeaders({ ...commonHeaders, ...headers }),
    content: {
      'application/json': { schema: describeOutput(schema), example },
      ...(alternative && {
        [alternative.mediaType]: {
          schema: { type: 'string', description: alternative.description },
        },
      }),
    },
  };
}

function describeHeaders(headers: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' } },
    ]),
  );
}

/** The operation's own problems, and those of each that is like it. */
function problemsOf(operation: Operation): number[] {
  const { problems, body, upload, conditional } = operation;
  return [
    ...new Set([
      400,
      401,
      403,
      ...problems,
      ...(body || upload ? [408, 413, 415] : []),
      ...(conditional ? [412] : []),
      429,
      500,
      503,
    ]),
  ].sort((one, other) => one - other);
}

function describeProblem(status: number) {
  return {
    description: titles[status] ?? 'Error',
    headers: describeHeaders(commonHeaders),
    content: { 'application/problem+json': { schema: describeOutput(problemSchema) } },
  };
}
