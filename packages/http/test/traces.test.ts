import type { Logger } from '@cygni/core';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createScriptedPipeline } from '../../core/test/fixtures/scripted-pipeline.ts';
import { knownDigest, registryPassword } from '../../core/test/fixtures/scripted-registry.ts';
import { startApi, type TestApi } from './fixtures/start-api.ts';

const exporter = new InMemorySpanExporter();
beforeAll(() => {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
});
beforeEach(() => exporter.reset());
afterAll(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

const clientTrace = '0af7651916cd43dd8448eb211c80319c';
const clientSpan = 'b7ad6b7169203331';
const traceparent = `00-${clientTrace}-${clientSpan}-01`;

/** The spans of a name, once there is one. */
function ended(api: TestApi, name: string): Promise<ReadableSpan> {
  return api.test.until(async () => exporter.getFinishedSpans().find((span) => span.name === name));
}

function childrenOf(parent: ReadableSpan): string[] {
  const { spanId } = parent.spanContext();
  const children = exporter
    .getFinishedSpans()
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === spanId);
  return children.map(({ name }) => name);
}

async function acceptBuild(api: TestApi): Promise<string> {
  const sourceId = await api.uploadSource();
  const body = { sourceId, repository: 'hello' };
  const response = await api.postJson('/v1/builds', body, { traceparent });
  return ((await response.json()) as { id: string }).id;
}

describe('the trace of a request', () => {
  it('goes on with the client’s, and has the route, the status and what was done in the store', async () => {
    await using api = await startApi();
    const id = await acceptBuild(api);
    const span = await ended(api, 'POST /builds');
    expect(span.kind).toBe(SpanKind.SERVER);
    expect(span.spanContext().traceId).toBe(clientTrace);
    expect(span.parentSpanContext?.spanId).toBe(clientSpan);
    expect(span.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/builds',
      'http.response.status_code': 202,
      'cicd.pipeline.run.id': id,
    });
    expect(childrenOf(span)).toContain('store acceptBuild');
  });

  it('is named in the problem that it ends with, and in the line of the log', async () => {
    const logged: object[] = [];
    const keep = (fields: object) => {
      const active = trace.getActiveSpan()?.spanContext().traceId;
      logged.push({ ...fields, active });
    };
    const log: Logger = { debug: keep, info: keep, warn: keep, error: keep };
    await using api = await startApi({ log });
    const response = await api.request('GET', '/v1/nothing', { headers: { traceparent } });
    expect(await response.json()).toMatchObject({ code: 'not-found', trace_id: clientTrace });
    await api.test.until(async () => logged.find((line) => 'status' in line));
    const requestId = response.headers.get('x-request-id');
    expect(logged).toContainEqual(expect.objectContaining({ requestId, active: clientTrace }));
  });

  it('is an error if the server fails, and has no message that might tell a secret', async () => {
    await using api = await startApi();
    api.test.store.listBuilds = async () => {
      throw new Error('hunter2');
    };
    await api.request('GET', '/v1/builds');
    const span = await ended(api, 'GET /builds');
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(span.attributes['error.type']).toBe('500');
    const all = exporter.getFinishedSpans().map(({ name, attributes, events, status }) => {
      return { name, attributes, events, status };
    });
    expect(JSON.stringify(all)).not.toContain('hunter2');
  });
});

/** Whether the span is linked to the other, in whose trace it is not. */
function isLinked(from: ReadableSpan, to: ReadableSpan): boolean {
  const { traceId, spanId } = to.spanContext();
  expect(from.spanContext().traceId).not.toBe(traceId);
  return from.links.some(({ context: { traceId: of, spanId: at } }) => {
    return of === traceId && at === spanId;
  });
}

describe('the trace of a build', () => {
  const pipeline = createScriptedPipeline(async ({ target }) =>
    target === 'sick'
      ? { status: 'failed', reason: 'user_error', message: 'no' }
      : { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null },
  );

  it('links the handling of its message to the sending', async () => {
    await using api = await startApi({ pipeline });
    await acceptBuild(api);
    const handled = await ended(api, 'process build');
    expect(handled.kind).toBe(SpanKind.CONSUMER);
    expect(handled.parentSpanContext).toBeUndefined();
    const [link] = handled.links;
    const sent = exporter
      .getFinishedSpans()
      .find((span) => span.spanContext().spanId === link?.context.spanId);
    expect(sent).toMatchObject({ name: 'send', kind: SpanKind.PRODUCER });
  });

  it('is linked to the request that asked for it', async () => {
    await using api = await startApi({ pipeline });
    await acceptBuild(api);
    const built = await ended(api, 'BUILD scripted');
    expect(isLinked(built, await ended(api, 'POST /builds'))).toBe(true);
  });

  it('has its result and its parts, by the conventions for CI/CD', async () => {
    await using api = await startApi({ pipeline });
    const id = await acceptBuild(api);
    const span = await ended(api, 'BUILD scripted');
    expect(span.attributes).toMatchObject({
      'cicd.pipeline.action.name': 'BUILD',
      'cicd.pipeline.name': 'scripted',
      'cicd.pipeline.run.id': id,
      'cicd.pipeline.result': 'success',
    });
    expect(childrenOf(span)).toEqual(
      expect.arrayContaining(['prepare', 'build', 'verify', 'tag', 'store finishBuild']),
    );
    const prepare = await ended(api, 'prepare');
    expect(childrenOf(prepare)).toContain('registry credentials');
    expect(span.parentSpanContext?.spanId).toBe(
      (await ended(api, 'process build')).spanContext().spanId,
    );
    const everything = exporter
      .getFinishedSpans()
      .map(({ name, attributes }) => [name, attributes]);
    expect(JSON.stringify(everything)).not.toContain(registryPassword);
  });

  it('says why it failed', async () => {
    await using api = await startApi({ pipeline });
    const sourceId = await api.uploadSource();
    await api.postJson('/v1/builds', { sourceId, repository: 'hello', target: 'sick' });
    const span = await ended(api, 'BUILD scripted');
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(span.attributes).toMatchObject({
      'cicd.pipeline.result': 'failure',
      'error.type': 'user_error',
    });
  });

  it('is not disturbed by what looks around regularly', async () => {
    await using api = await startApi({ pipeline });
    await acceptBuild(api);
    await ended(api, 'process build');
    const roots = exporter.getFinishedSpans().filter((span) => !span.parentSpanContext);
    const names = new Set(roots.map(({ name }) => name));
    expect([...names].filter((name) => name.startsWith('store '))).toEqual([]);
  });
});

describe('the trace of a deployment', () => {
  it('is linked to the request that asked for it', async () => {
    await using api = await startApi();
    const image = { repository: 'hello', digest: knownDigest };
    const body = { service: 'hello', image, rollout: { bakeSeconds: 0 } };
    expect((await api.postJson('/v1/deployments', body, { traceparent })).status).toBe(202);
    const ran = await ended(api, 'RUN scripted');
    expect(isLinked(ran, await ended(api, 'POST /deployments'))).toBe(true);
  });
});
