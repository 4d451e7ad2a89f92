import { once } from 'node:events';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync } from 'node:zlib';
import { createMeteredBudget } from '@cygni/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestApi } from '../fixtures/start-api.ts';

let api: TestApi;
let sourceId: string;
beforeAll(async () => {
  api = await startApi();
  sourceId = await api.uploadSource();
});
afterAll(() => api[Symbol.asyncDispose]());

const json = { 'content-type': 'application/json' };

async function post(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: { code?: string; errors?: { code: string }[] } }> {
  const init = { headers: { ...json, ...headers }, body };
  const response = await api.request('POST', '/v1/builds', init);
  return { status: response.status, body: Object(await response.json()) };
}

function nested(depth: number): string {
  return `${'['.repeat(depth)}${']'.repeat(depth)}`;
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

describe('a body', () => {
  it('as it should be is taken', async () => {
    expect((await post(JSON.stringify({ sourceId, repository: 'a' }))).status).toBe(202);
  });

  it.each<[string, string | Uint8Array<ArrayBuffer>, string]>([
    ['nested 10,000 deep', `{"repository":${nested(10_000)}}`, 'too_deep'],
    ['nested 100,000 deep', nested(100_000), 'too_deep'],
    ['with a name twice', '{"repository":"a","repository":"b"}', 'duplicate_name'],
    ['with a name twice, once escaped', '{"tags":[],"t\\u0061gs":[]}', 'duplicate_name'],
    ['with a name twice below', '{"buildArguments":{"A":"1","A":"2"}}', 'duplicate_name'],
    ['with NUL in a string', '{"repository":"a\\u0000b"}', 'invalid_string'],
    ['with half a character', '{"repository":"\\ud800"}', 'invalid_string'],
    ['that is not UTF-8', bytes('{"repository":"\xff\xfe"}'), 'invalid_encoding'],
    ['in UTF-16', new Uint8Array(Buffer.from('{"repository":"a"}', 'utf16le')), 'invalid_json'],
    ['with a comment', '{"repository":"a"/* b */}', 'invalid_json'],
    ['with NaN', '{"timeoutSeconds":NaN}', 'invalid_json'],
    ['cut short', '{"repository":"a"', 'invalid_json'],
  ])('%s is 400', async (_what, body, code) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { errors: [{ code }] } });
  });

  it('with __proto__ is 400, and objects stay what they are', async () => {
    const body = `{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}`;
    expect((await post(body)).status).toBe(400);
    expect(Object(Object.create({})).isAdmin).toBe(undefined);
  });

  it.each(['tenantId', 'state', 'cost', 'id', 'createdAt', 'image'])(
    'cannot set %s',
    async (field) => {
      const body = JSON.stringify({ sourceId, repository: 'a', [field]: 'SUCCEEDED' });
      expect(await post(body)).toMatchObject({
        status: 400,
        body: { errors: [{ code: 'unrecognized_keys', pointer: `/${field}` }] },
      });
    },
  );

  it.each([
    'application/json; charset=utf-16',
    'application/json; charset=utf-7',
    'application/json; charset="shift_jis"',
    'application/json; charset=',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
  ])('of type %s is 415', async (type) => {
    expect((await post('{}', { 'content-type': type })).status).toBe(415);
  });

  it('in an unknown encoding is 415', async () => {
    expect((await post('{}', { 'content-encoding': 'lzma' })).status).toBe(415);
  });

  it('that says it is gzip and is not is 400', async () => {
    expect((await post('{}', { 'content-encoding': 'gzip' })).status).toBe(400);
  });

  it('may be compressed', async () => {
    const body = gzipSync(JSON.stringify({ sourceId, repository: 'a' }));
    expect((await post(new Uint8Array(body), { 'content-encoding': 'gzip' })).status).toBe(202);
  });
});

/** Sends without end until the server answers. */
async function flood(headers: Record<string, string>, body: Readable) {
  const authorization = `Bearer ${await api.token()}`;
  const sent = request(`${api.url}/v1/builds`, {
    method: 'POST',
    headers: { ...json, ...headers, authorization },
  });
  // The server closes the connection under the sender once it has answered.
  const sending = pipeline(body, sent).catch((error: NodeJS.ErrnoException) => {
    if (!/EPIPE|ECONNRESET|PREMATURE_CLOSE/.test(error.code ?? '')) throw error;
  });
  const [response] = await once(sent, 'response');
  response.resume();
  const status: number = response.statusCode;
  sent.destroy();
  await sending;
  return status;
}

function* zeros(total: number): Generator<Buffer> {
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  for (let sent = 0; sent < total; sent += chunk.byteLength) yield chunk;
}

describe('memory', () => {
  const mebibyte = 1024 * 1024;

  async function growthOf(act: () => Promise<void>): Promise<number> {
    await act();
    const before = process.memoryUsage().arrayBuffers;
    await act();
    return process.memoryUsage().arrayBuffers - before;
  }

  it('does not grow with a body of 50 MB, which is 413', async () => {
    const growth = await growthOf(async () => {
      expect(await flood({}, Readable.from(zeros(50 * mebibyte)))).toBe(413);
    });
    expect(growth).toBeLessThan(8 * mebibyte);
  });

  it('does not grow with a bomb that unfolds to 1 GB, which is 413', async () => {
    const growth = await growthOf(async () => {
      const bomb = Readable.from(zeros(1024 * mebibyte)).pipe(createGzip({ level: 1 }));
      expect(await flood({ 'content-encoding': 'gzip' }, bomb)).toBe(413);
    });
    expect(growth).toBeLessThan(8 * mebibyte);
  });
});

describe('a slow body', () => {
  it('is cut off with 408, however it trickles', async () => {
    await using impatient = await startApi({ router: { bodyTimeoutMs: 50 } });
    const sent = request(`${impatient.url}/v1/builds`, {
      method: 'POST',
      headers: { ...json, authorization: `Bearer ${await impatient.token()}`, 'content-length': 9 },
    });
    sent.on('error', () => {});
    sent.write('{');
    const [response] = await once(sent, 'response');
    expect(response.statusCode).toBe(408);
    expect(response.headers.connection).toBe('close');
    response.resume();
    await once(sent, 'close');
  });

  it('of an upload is cut off when nothing comes', async () => {
    await using impatient = await startApi({ router: { bodyTimeoutMs: 50 } });
    const sent = request(`${impatient.url}/v1/sources`, {
      method: 'POST',
      headers: {
        'content-type': 'application/gzip',
        authorization: `Bearer ${await impatient.token()}`,
      },
    });
    const failed = once(sent, 'error');
    sent.write(gzipSync('begin'));
    await failed;
    const page = await impatient.request('GET', '/v1/builds');
    expect(page.status).toBe(200);
  });
});

describe('the budget', () => {
  it('for one build lets one of 100 requests at the same time through', async () => {
    const probe = createMeteredBudget();
    const machine = 'small';
    const maximumImageBytes = 4 * 1024 ** 3;
    const work = { kind: 'build', machine, timeoutSeconds: 600, maximumAttempts: 3 } as const;
    const cap = probe.quote({ ...work, maximumImageBytes });
    await using poor = await startApi({ budget: createMeteredBudget({ cap }) });
    const body = { sourceId: await poor.uploadSource(), repository: 'hello' };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => poor.postJson('/v1/builds', body)),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([202, ...Array.from({ length: 99 }, () => 402)]);
  });
});
