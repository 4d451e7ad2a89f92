import { gzipSync } from 'node:zlib';
import { scopes } from '@cygni/http';
import { afterAll, describe, expect, it } from 'vitest';
import { type DescribedOperation, fillPath, readDocument } from '../fixtures/api-document.ts';
import { exampleAdapters, seedExamples } from '../fixtures/seed-examples.ts';
import { startApi } from '../fixtures/start-api.ts';

const api = await startApi(exampleAdapters);
const { locate } = await seedExamples(api.test);
afterAll(() => api[Symbol.asyncDispose]());
const document: object = Object(await (await fetch(`${api.url}/openapi.json`)).json());
const { operations, findFaults } = readDocument(document);

const withParameter = operations.filter(({ parameters }) =>
  parameters.some((each) => each.in === 'path'),
);
const withBody = operations.filter(({ json }) => json !== undefined);
const withInteger = operations.filter(({ parameters }) => integersOf(parameters).length > 0);

function integersOf(parameters: DescribedOperation['parameters']) {
  return parameters.filter((each) => each.in === 'query' && each.schema.type === 'integer');
}

interface Sent {
  readonly path?: string;
  /** Null: none. Default: a good one of acme's. */
  readonly token?: string | null;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly mediaType?: string;
  readonly headers?: Record<string, string>;
}

/** Sends the operation's example but for what is `changed`, and returns the answer once it is known to be documented. */
async function send(operation: DescribedOperation, changed: Sent = {}) {
  const token = changed.token === undefined ? await api.token() : changed.token;
  const [mediaType] = Object.keys(operation.requestBody?.content ?? {});
  const example = operation.json
    ? JSON.stringify(operation.json.example)
    : new Uint8Array(gzipSync('an archive'));
  const response = await fetch(api.url + locate(changed.path ?? fillPath(operation)), {
    method: operation.method.toUpperCase(),
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(mediaType ? { 'content-type': changed.mediaType ?? mediaType } : {}),
      ...changed.headers,
    },
    ...(mediaType ? { body: changed.body ?? example } : {}),
  });
  const body: unknown = await response.json();
  const type = response.headers.get('content-type')?.split(';')[0] ?? '';
  const { status } = response;
  expect(Object.keys(operation.responses), `${status} is documented`).toContain(String(status));
  expect(status).toBeLessThan(500);
  expect(findFaults(operation, String(status), type, body)).toEqual([]);
  return { status, body, headers: response.headers };
}

it('is every operation that there is', () => {
  expect(operations.length).toBeGreaterThan(10);
  expect(withParameter.length).toBeGreaterThan(5);
  expect(withBody.length).toBeGreaterThan(3);
  expect(withInteger.length).toBeGreaterThan(3);
});

describe.each(operations.map((each) => [each.operationId, each] as const))(
  '%s',
  (_id, operation) => {
    const scope = operation['x-scope'];

    it.each<[string, () => Promise<string | null>]>([
      ['without a token', async () => null],
      ['with an expired token', () => api.token({ expiresInSeconds: -60 })],
      ['with a token for another audience', () => api.token({}, 'somebody-else')],
    ])('%s is 401', async (_what, make) => {
      const { status, headers } = await send(operation, { token: await make() });
      expect(status).toBe(401);
      expect(headers.get('www-authenticate')).toContain('Bearer');
    });

    it('without its scope is 403, whatever else the token may do', async () => {
      const others = scopes.filter((each) => each !== scope);
      const token = await api.token({ scopes: others });
      expect((await send(operation, { token })).status).toBe(403);
    });

    it('with its scope alone is let through', async () => {
      const [only] = scopes.filter((each) => each === scope);
      if (!only) throw new Error(`${scope} is no scope`);
      const { status } = await send(operation, { token: await api.token({ scopes: [only] }) });
      expect(status).toBeLessThan(300);
    });

    it('shows another tenant nothing of acme’s', async () => {
      const token = await api.token({ tenantId: 'other' });
      const { body, status } = await send(operation, { token });
      expect(JSON.stringify(body)).not.toContain('acme');
      const [id] = ['items' in Object(body) ? Object(body).items : []];
      expect(id).toEqual([]);
      if (withParameter.includes(operation)) expect(status).toBe(404);
    });

    it('refuses a query parameter that it does not know', async () => {
      const path = fillPath(operation);
      const more = `${path}${path.includes('?') ? '&' : '?'}tenantId=other`;
      const { status, body } = await send(operation, { path: more });
      expect(status).toBe(400);
      expect(body).toMatchObject({ errors: [{ pointer: '/tenantId' }] });
    });
  },
);

describe.each(withParameter.map((each) => [each.operationId, each] as const))(
  '%s',
  (_id, operation) => {
    const names = operation.parameters.filter((each) => each.in === 'path');

    it.each([
      ['that cannot be', 'not%20an%20id'],
      ['with a NUL in it', 'a%00b'],
      ['that climbs', '..%2f..%2fetc%2fpasswd'],
      ['that is half a percent-encoding', '%e0%a4%a'],
      ['of 4,000 characters', 'a'.repeat(4_000)],
    ])('refuses an id %s', async (_what, value) => {
      const values = Object.fromEntries(names.map(({ name }) => [name, value]));
      const { status } = await send(operation, { path: fillPath(operation, values) });
      expect([400, 404]).toContain(status);
    });
  },
);

describe.each(withInteger.map((each) => [each.operationId, each] as const))(
  '%s',
  (_id, operation) => {
    it.each(['x', '-1', '1.5', '1e3', '0x10', '', '99999999999999999999', 'NaN', '1%002'])(
      'refuses %j for an integer',
      async (value) => {
        for (const { name } of integersOf(operation.parameters)) {
          const [path] = fillPath(operation).split('?');
          const { status, body } = await send(operation, { path: `${path}?${name}=${value}` });
          expect(status, name).toBe(400);
          expect(body).toMatchObject({ errors: [{ pointer: `/${name}` }] });
        }
      },
    );

    it('refuses an integer that is there twice', async () => {
      const [path] = fillPath(operation).split('?');
      const [first] = integersOf(operation.parameters);
      const twice = `${path}?${first?.name}=1&${first?.name}=2`;
      expect((await send(operation, { path: twice })).status).toBe(400);
    });
  },
);

describe.each(withBody.map((each) => [each.operationId, each] as const))('%s', (_id, operation) => {
  const example = Object(operation.json?.example);

  it.each<[string, string, number]>([
    ['that is not JSON', '{"a":', 400],
    ['that is empty', '', 400],
    ['that is null', 'null', 400],
    ['that is an array', '[]', 400],
    ['that is a string', '"text"', 400],
    ['with a number for each field', numbersFor(example), 400],
    ['of 300 KB', JSON.stringify({ ...example, service: 'a'.repeat(300_000) }), 413],
  ])('refuses a body %s', async (_what, body, status) => {
    expect((await send(operation, { body })).status).toBe(status);
  });

  it.each(['tenantId', 'state', 'cost', 'id', '__proto__', 'constructor'])(
    'refuses the field %s, which it does not know, and tells where it is',
    async (field) => {
      const body = JSON.stringify(example).replace('{', `{${JSON.stringify(field)}:{"a":1},`);
      const answer = await send(operation, { body: body.replace(',}', '}') });
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ errors: [{ pointer: `/${field}` }] });
    },
  );

  it('refuses another media type', async () => {
    expect((await send(operation, { mediaType: 'text/plain' })).status).toBe(415);
  });
});

function numbersFor(example: object): string {
  // A budget's limit is a number: there it is one that no budget can be.
  return JSON.stringify(Object.fromEntries(Object.keys(example).map((name) => [name, -0.5])));
}
