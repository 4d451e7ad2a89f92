import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type BlobUpload, mediaTypes } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { createImageClient } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { listen } from './support/listen.ts';
import { reply, type Seen, scriptedRegistry } from './support/scripted-registry.ts';

const call = callWith();
const image = imageSaying('hard to get');
const retry = { retries: 3, firstDelayMs: 1, longestDelayMs: 5 };
const manifest = (response: ServerResponse) =>
  reply(response, 200, { 'content-type': mediaTypes.ociManifest }, image.manifest);

function upload(bytes: Uint8Array): BlobUpload & { readonly opened: () => number } {
  let opened = 0;
  return {
    digest: sha256(bytes),
    sizeBytes: bytes.byteLength,
    opened: () => opened,
    async *open() {
      opened += 1;
      yield bytes;
    },
  };
}

async function read(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('the image client and a registry in trouble', () => {
  it('waits as long as it is told to after 429', async () => {
    let count = 0;
    await using registry = await scriptedRegistry((_, response) => {
      count += 1;
      if (count === 1) reply(response, 429, { 'retry-after': '1' });
      else manifest(response);
    });
    await using client = createImageClient({ retry });
    const started = performance.now();
    await client.getManifest(registry.location(), 'one', call);
    expect(performance.now() - started).toBeGreaterThan(950);
    expect(count).toBe(2);
  });

  it.each([
    [{ 'retry-after': '3600' }],
    // Docker Hub's own way to say it.
    [{ 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '0;w=21600' }],
  ])('does not wait for what is longer than it wants to (%o)', async (headers) => {
    await using registry = await scriptedRegistry((_, response) => reply(response, 429, headers));
    await using client = createImageClient({ retry });
    await expect(client.getManifest(registry.location(), 'one', call)).rejects.toMatchObject({
      code: 'rate_limited',
      retryable: true,
    });
    expect(registry.seen).toHaveLength(1);
  });

  it('tries again after 5xx and broken connections, so often and no more', async () => {
    const troubles: ((response: ServerResponse) => void)[] = [
      (response) => reply(response, 500),
      (response) => response.destroy(),
      (response) => reply(response, 503),
    ];
    let count = 0;
    await using recovering = await scriptedRegistry((_, response) => {
      (troubles[count] ?? manifest)(response);
      count += 1;
    });
    await using client = createImageClient({ retry });
    await client.getManifest(recovering.location(), 'one', call);
    expect(count).toBe(4);

    await using broken = await scriptedRegistry((_, response) => reply(response, 502));
    await expect(client.getManifest(broken.location(), 'one', call)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });
    expect(broken.seen).toHaveLength(4);
  });

  it.each([
    [400, 'invalid_input'],
    [401, 'forbidden'],
    [403, 'forbidden'],
    [404, 'not_found'],
    [405, 'unsupported'],
    [409, 'conflict'],
    [413, 'too_large'],
  ])('takes %i for an answer', async (status, code) => {
    await using registry = await scriptedRegistry((_, response) => reply(response, status));
    await using client = createImageClient({ retry });
    await expect(client.getManifest(registry.location(), 'one', call)).rejects.toMatchObject({
      code,
      retryable: false,
    });
    expect(registry.seen).toHaveLength(1);
  });

  it('says so when nobody listens, or answers', async () => {
    const gone = await listen(() => undefined);
    await gone[Symbol.asyncDispose]();
    await using client = createImageClient({ retry, timeouts: { headersMs: 100 } });
    const location = { host: gone.host, repository: 'acme/site', insecure: true };
    await expect(client.getManifest(location, 'one', call)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: true,
    });

    await using mute = await scriptedRegistry(() => undefined);
    await expect(client.getManifest(mute.location(), 'one', call)).rejects.toMatchObject({
      code: 'timeout',
      retryable: true,
    });
    expect(mute.seen).toHaveLength(4);
  });

  it('believes no manifest but the one it asked for', async () => {
    await using registry = await scriptedRegistry((seen, response) =>
      seen.path.endsWith('/stated')
        ? reply(response, 200, { 'docker-content-digest': sha256(Buffer.from('x')) }, '{}')
        : reply(response, 200, {}, '{"another":"manifest"}'),
    );
    await using client = createImageClient({ retry });
    for (const reference of [image.digest, 'stated']) {
      await expect(client.getManifest(registry.location(), reference, call)).rejects.toMatchObject({
        code: 'integrity',
        retryable: false,
      });
    }
    expect(registry.seen).toHaveLength(2);
  });

  it('reads no manifest without an end', async () => {
    await using registry = await scriptedRegistry((_, response) => {
      const piece = Buffer.alloc(1024 * 1024, ' ');
      const more = () => {
        while (!response.destroyed && response.write(piece));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    await using client = createImageClient({ retry });
    await expect(client.getManifest(registry.location(), 'one', call)).rejects.toMatchObject({
      code: 'too_large',
    });
  });

  it('throws at the end of a blob that is not the one it asked for', async () => {
    await using registry = await scriptedRegistry((_, response) =>
      reply(response, 200, {}, 'not the layer'),
    );
    await using client = createImageClient({ retry });
    const stream = await client.getBlob(registry.location(), sha256(image.layer), call);
    await expect(read(stream)).rejects.toMatchObject({ code: 'integrity', retryable: false });
  });

  it.each(['206 with the rest', '200 with all of it'])(
    'picks a broken blob up where it broke (%s)',
    async (how) => {
      const bytes = randomBytes(300_000);
      const ranges: (string | undefined)[] = [];
      await using registry = await scriptedRegistry((seen, response) => {
        ranges.push(seen.headers.range);
        if (ranges.length === 1) {
          response.writeHead(200, { 'content-length': bytes.byteLength });
          response.write(bytes.subarray(0, 100_000), () => response.destroy());
          return;
        }
        const from = Number(/^bytes=(\d+)-$/.exec(seen.headers.range ?? '')?.[1]);
        if (how.startsWith('206')) reply(response, 206, {}, bytes.subarray(from));
        else reply(response, 200, {}, bytes);
      });
      await using client = createImageClient({ retry });
      const stream = await client.getBlob(registry.location(), sha256(bytes), call);
      expect(await read(stream)).toEqual(bytes);
      expect(ranges).toHaveLength(2);
    },
  );

  it('gives up on a blob that breaks every time', async () => {
    await using registry = await scriptedRegistry((_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('begun', () => response.destroy());
    });
    await using client = createImageClient({ retry });
    const stream = await client.getBlob(registry.location(), sha256(image.layer), call);
    await expect(read(stream)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(registry.seen).toHaveLength(1 + retry.retries);
  });

  it('notices a blob that stops coming', async () => {
    await using registry = await scriptedRegistry((_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('begun');
    });
    await using client = createImageClient({
      retry: { ...retry, retries: 0 },
      timeouts: { idleBodyMs: 100 },
    });
    const stream = await client.getBlob(registry.location(), sha256(image.layer), call);
    await expect(read(stream)).rejects.toMatchObject({ code: 'timeout', retryable: true });
  });

  it('begins a push again from the start after a failure on the way', async () => {
    const bytes = randomBytes(100_000);
    let sessions = 0;
    const stored: Buffer[] = [];
    await using registry = await scriptedRegistry((seen, response) => {
      if (seen.method === 'HEAD') return reply(response, 404);
      if (seen.method === 'POST') {
        sessions += 1;
        stored.length = 0;
        return reply(response, 202, { location: `/up/${sessions}?state=a%2Bb~` });
      }
      if (seen.method === 'PATCH') {
        if (sessions === 1 && stored.length === 1) return reply(response, 500);
        if (sessions === 2 && stored.length === 1) return void response.destroy();
        stored.push(seen.body);
        return reply(response, 202, { location: seen.path });
      }
      reply(response, 201);
    });
    await using client = createImageClient({ retry, monolithicBytes: 0, chunkBytes: 40_000 });
    const blob = upload(bytes);
    await client.putBlob(registry.location(), blob, call);
    expect([sessions, blob.opened()]).toEqual([3, 3]);
    expect(Buffer.concat(stored)).toEqual(bytes);
    expect(registry.lines.at(-1)).toBe(
      `PUT /up/3?state=a%2Bb~&digest=${encodeURIComponent(blob.digest)}`,
    );
  });

  it('sends chunks as large as the registry wants them', async () => {
    const sizes: number[] = [];
    await using registry = await scriptedRegistry((seen, response) => {
      if (seen.method === 'HEAD') return reply(response, 404);
      if (seen.method === 'PATCH') sizes.push(seen.body.byteLength);
      const status = seen.method === 'PUT' ? 201 : 202;
      reply(response, status, { location: '/up', 'oci-chunk-min-length': '60000' });
    });
    await using client = createImageClient({ retry, monolithicBytes: 0, chunkBytes: 10_000 });
    await client.putBlob(registry.location(), upload(randomBytes(150_000)), call);
    expect(sizes).toEqual([60_000, 60_000, 30_000]);
  });

  it('reports content that the registry finds wrong, and cancels a mount that became an upload', async () => {
    await using registry = await scriptedRegistry((seen, response) => {
      if (seen.method === 'HEAD') return reply(response, 404);
      if (seen.method === 'POST') return reply(response, 202, { location: '/up/1' });
      if (seen.method === 'DELETE') return reply(response, 204);
      reply(response, 400, {}, JSON.stringify({ errors: [{ code: 'DIGEST_INVALID' }] }));
    });
    await using client = createImageClient({ retry });
    const blob = upload(randomBytes(10));
    await expect(client.putBlob(registry.location(), blob, call)).rejects.toMatchObject({
      code: 'integrity',
    });
    const mounted = client.mountBlob(registry.location(), 'acme/other', blob.digest, call);
    expect(await mounted).toBe(false);
    expect(registry.lines.slice(-2)).toEqual([
      `POST /v2/acme/site/blobs/uploads/?mount=${encodeURIComponent(blob.digest)}&from=acme%2Fother`,
      'DELETE /up/1',
    ]);
  });

  it('follows redirects only so far, and never to another kind of address', async () => {
    await using circle = await scriptedRegistry((seen, response) =>
      reply(response, 302, { location: seen.path }),
    );
    await using client = createImageClient({ retry });
    const digest = sha256(image.layer);
    await expect(client.getBlob(circle.location(), digest, call)).rejects.toMatchObject({
      retryable: false,
    });
    expect(circle.seen).toHaveLength(6);
    for (const location of ['file:///etc/passwd', 'ftp://127.0.0.1/', 'http://[']) {
      await using registry = await scriptedRegistry((_, response) =>
        reply(response, 302, { location }),
      );
      await expect(client.getBlob(registry.location(), digest, call)).rejects.toMatchObject({
        name: 'CygniError',
      });
      expect(registry.seen.every((each) => each.path.startsWith('/v2/'))).toBe(true);
    }
  });

  it('speaks no plain HTTP where that was not said', async () => {
    await using registry = await scriptedRegistry((_, response) => manifest(response));
    await using client = createImageClient({ retry: { ...retry, retries: 0 } });
    const location = { ...registry.location(), insecure: false };
    await expect(client.getManifest(location, 'one', call)).rejects.toMatchObject({
      name: 'CygniError',
    });
    expect(registry.seen).toEqual([]);
  });

  it('stops at once when it is told to: before, while waiting, in the middle of a blob', async () => {
    await using registry = await scriptedRegistry((seen: Seen, response) => {
      if (seen.path.includes('/blobs/')) {
        response.writeHead(200, { 'content-length': 1000 });
        response.write('begun');
      } else if (seen.path.endsWith('/busy')) reply(response, 429, { 'retry-after': '30' });
    });
    await using client = createImageClient({ retry });
    const aborted = callWith(AbortSignal.abort());
    const expected = { code: 'aborted', retryable: false };
    const location = registry.location();
    await expect(client.getManifest(location, 'one', aborted)).rejects.toMatchObject(expected);
    expect(registry.seen).toEqual([]);

    for (const tag of ['mute', 'busy']) {
      const controller = new AbortController();
      const pending = client.getManifest(location, tag, callWith(controller.signal));
      pending.catch(() => undefined);
      await expect.poll(() => registry.lines.some((line) => line.endsWith(tag))).toBe(true);
      controller.abort();
      await expect(pending).rejects.toMatchObject(expected);
    }
    const controller = new AbortController();
    const stream = await client.getBlob(location, sha256(image.layer), callWith(controller.signal));
    const reading = (async () => {
      for await (const _ of stream) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject(expected);
  });
});
