import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createScriptedPipeline,
  untilCancelled,
} from '../../core/test/fixtures/scripted-pipeline.ts';
import { type EventStreamOptions, streamEvents } from '../src/event-stream.ts';
import { startApi } from './fixtures/start-api.ts';

let cleanUp = new DisposableStack();
afterEach(() => {
  cleanUp.dispose();
  cleanUp = new DisposableStack();
});

/** Serves one stream to whoever comes. `settled`: how the first `count` of them ended. */
async function serve(
  pieces: () => AsyncIterable<Uint8Array>,
  options: Omit<EventStreamOptions, 'signal'> & {
    readonly signal?: AbortSignal;
    readonly count?: number;
  } = {},
) {
  const responses: ServerResponse[] = [];
  const outcomes: Promise<unknown>[] = [];
  const all = Promise.withResolvers<void>();
  const { count = 1 } = options;
  const signal = options.signal ?? new AbortController().signal;
  const server = createServer((_request, response) => {
    responses.push(response);
    const streamed = streamEvents(response, pieces(), { ...options, signal });
    outcomes.push(
      streamed.then(
        () => 'ended',
        () => 'failed',
      ),
    );
    if (outcomes.length === count) all.resolve();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return { port: address.port, responses, settled: all.promise.then(() => Promise.all(outcomes)) };
}

async function* until(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await once(signal, 'abort');
  yield* [];
}

describe('an event stream', () => {
  it('has a heartbeat while it is quiet', async () => {
    const stop = new AbortController();
    const options = { heartbeatMs: 5, signal: stop.signal };
    const { port } = await serve(() => until(stop.signal), options);
    const response = await fetch(`http://127.0.0.1:${port}`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toMatch(/^: heartbeat\n\n/);
    stop.abort();
  });

  it('cuts a reader off that takes nothing, and holds no more than one piece for it', async () => {
    let taken = 0;
    const piece = Buffer.alloc(256 * 1024, 'x');
    async function* endless() {
      for (;;) {
        taken += 1;
        yield piece;
      }
    }
    const count = 50;
    const { port, responses, settled } = await serve(endless, { patienceMs: 100, count });
    const readers = Array.from({ length: count }, () => connect(port, '127.0.0.1').pause());
    for (const reader of readers) {
      reader.on('error', () => {});
      reader.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    }
    expect(await settled).toEqual(readers.map(() => 'failed'));
    expect(responses.every((response) => response.destroyed)).toBe(true);
    // What the sockets took before they were full, and one piece that waited for each.
    expect(taken).toBeLessThan(count * 40);
    for (const reader of readers) reader.destroy();
  });
});

describe('the log stream of a build', () => {
  it('ends when the token of its reader expires', async () => {
    const pipeline = createScriptedPipeline((_job, run) => untilCancelled(run));
    await using api = await startApi({ pipeline });
    const sourceId = await api.uploadSource();
    const accepted = await api.postJson('/v1/builds', { sourceId, repository: 'hello' });
    const { id } = (await accepted.json()) as { id: string };
    const authorization = `Bearer ${await api.token({ expiresInSeconds: 2 })}`;
    const headers = { accept: 'text/event-stream', authorization };
    const response = await api.request('GET', `/v1/builds/${id}/logs`, { headers });
    expect(response.status).toBe(200);
    expect(await response.text()).not.toContain('event: end');
    const again = await api.request('GET', `/v1/builds/${id}`);
    expect(await again.json()).not.toMatchObject({ state: 'SUCCEEDED' });
  });
});
