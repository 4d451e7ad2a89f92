import { gzipSync } from 'node:zlib';
import { validate } from '@scalar/openapi-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DescribedOperation, fillPath, readDocument } from '../fixtures/api-document.ts';
import { exampleAdapters, type SeededExamples, seedExamples } from '../fixtures/seed-examples.ts';
import { startApi, type TestApi } from '../fixtures/start-api.ts';

let api: TestApi;
let document: Record<string, unknown>;
beforeAll(async () => {
  api = await startApi();
  document = Object(await (await fetch(`${api.url}/openapi.json`)).json());
});
afterAll(() => api[Symbol.asyncDispose]());

async function documented() {
  const described = readDocument(document);
  expect(described.operations.length).toBeGreaterThan(10);
  return described;
}

/** As the document shows it. */
async function sendExample(
  to: TestApi,
  { locate }: SeededExamples,
  operation: DescribedOperation,
): Promise<Response> {
  const { json, method } = operation;
  const path = locate(fillPath(operation));
  if (json) {
    const headers = { 'content-type': 'application/json' };
    return to.request(method.toUpperCase(), path, { headers, body: JSON.stringify(json.example) });
  }
  const [mediaType] = Object.keys(operation.requestBody?.content ?? {});
  if (mediaType === undefined) return to.request(method.toUpperCase(), path);
  const init = { headers: { 'content-type': mediaType }, body: gzipSync('an archive') };
  return to.request(method.toUpperCase(), path, init);
}

function successOf({ responses }: DescribedOperation): string {
  const status = Object.keys(responses).find((each) => each.startsWith('2'));
  if (status === undefined) throw new Error('no success is described');
  return status;
}

describe('/openapi.json', () => {
  it('is a valid OpenAPI document for everybody', async () => {
    const result = await validate(document);
    expect(result.errors ?? []).toEqual([]);
    expect(result).toMatchObject({ valid: true, version: '3.1' });
  });

  it('has a path for every resource', async () => {
    const { operations } = await documented();
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toMatchInlineSnapshot(`
      [
        "delete /v1/webhook-endpoints/{id}",
        "get /v1/budgets/current",
        "get /v1/builds",
        "get /v1/builds/{id}",
        "get /v1/builds/{id}/logs",
        "get /v1/deployments",
        "get /v1/deployments/{id}",
        "get /v1/services",
        "get /v1/services/{name}",
        "get /v1/services/{name}/revisions",
        "get /v1/sources/{id}",
        "get /v1/webhook-endpoints",
        "get /v1/webhook-endpoints/{id}",
        "get /v1/webhook-endpoints/{id}/deliveries",
        "get /v1/webhook-endpoints/{id}/deliveries/{delivery}",
        "patch /v1/webhook-endpoints/{id}",
        "post /v1/builds",
        "post /v1/builds/{id}:cancel",
        "post /v1/deployments",
        "post /v1/services/{name}:rollback",
        "post /v1/sources",
        "post /v1/sources:fetch",
        "post /v1/webhook-endpoints",
        "post /v1/webhook-endpoints/{id}/deliveries/{delivery}:redeliver",
        "post /v1/webhook-endpoints/{id}:rotate-secret",
        "put /v1/budgets/current",
      ]
    `);
  });

  it('takes an Idempotency-Key wherever a repeated POST would make a second thing', async () => {
    const { operations } = await documented();
    const without = operations.filter(
      ({ method, parameters }) =>
        method === 'post' && !parameters.some(({ name }) => name === 'idempotency-key'),
    );
    expect(without.map(({ operationId }) => operationId).sort()).toEqual([
      'cancelBuild',
      'redeliverWebhook',
    ]);
  });

  it('shows answers that are what it says of them', async () => {
    const { operations, findFaults } = await documented();
    for (const operation of operations) {
      const status = successOf(operation);
      const { example } = operation.responses[status]?.content['application/json'] ?? {};
      const faults = findFaults(operation, status, 'application/json', example);
      expect(faults, operation.operationId).toEqual([]);
    }
  });

  it('shows requests that are answered as it says', async () => {
    const { operations, findFaults } = await documented();
    for (const operation of operations) {
      await using fresh = await startApi(exampleAdapters);
      const seeded = await seedExamples(fresh.test);
      const response = await sendExample(fresh, seeded, operation);
      const status = successOf(operation);
      const body: unknown = await response.json();
      expect(String(response.status), `${operation.operationId}: ${JSON.stringify(body)}`).toBe(
        status,
      );
      const faults = findFaults(operation, status, 'application/json', body);
      expect(faults, operation.operationId).toEqual([]);
    }
  });

  it('names the path that the router is mounted at', async () => {
    await using mounted = await startApi({ mount: '/platform/ci' });
    const found = await (await fetch(`${mounted.url}/platform/ci/openapi.json`)).json();
    expect(Object.keys(Object(found).paths)).toContain('/platform/ci/v1/builds');
  });
});

describe('/docs', () => {
  it('renders the document with scripts of its own only', async () => {
    const response = await fetch(`${api.url}/docs`);
    const policy = response.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    const page = await response.text();
    expect(policy).not.toContain('unsafe-eval');
    const files = [...page.matchAll(/(?:src|href|spec-url)="([^"]+)"/g)].map(([, file]) => file);
    expect(files).toEqual(['data:,', 'docs/explorer.js', 'openapi.json']);
    for (const file of files.slice(1)) {
      const asset = await fetch(new URL(file ?? '', `${api.url}/docs`));
      expect(asset.status, file).toBe(200);
      expect((await asset.arrayBuffer()).byteLength).toBeGreaterThan(10_000);
    }
  });
});
