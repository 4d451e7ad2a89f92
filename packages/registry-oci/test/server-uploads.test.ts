import { randomBytes } from 'node:crypto';
import { readdir, utimes } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { createRegistryServer } from '../src/index.ts';
import { type Embedded, embedded } from './support/embedded.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { codeOf, pushBlob, pushImage } from './support/push.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const blob = randomBytes(300_000);

async function begin(registry: Embedded, repository = 'acme/site'): Promise<string> {
  const response = await fetch(registry.url(`${repository}/blobs/uploads/`), { method: 'POST' });
  expect(response.status).toBe(202);
  return `http://${registry.host}${response.headers.get('location')}`;
}

function patch(url: string, start: number, end: number): Promise<Response> {
  return fetch(url, {
    method: 'PATCH',
    headers: { 'content-range': `${start}-${end - 1}` },
    body: blob.subarray(start, end),
  });
}

function finish(
  url: string,
  body: Uint8Array<ArrayBuffer> = new Uint8Array(),
  digest = sha256(blob),
) {
  return fetch(`${url}?digest=${digest}`, { method: 'PUT', body });
}

async function read(registry: Embedded, digest: string): Promise<Buffer | number> {
  const response = await fetch(registry.url(`acme/site/blobs/${digest}`));
  return response.ok ? Buffer.from(await response.arrayBuffer()) : response.status;
}

describe('uploads to the embedded registry', () => {
  it('takes a blob in one request, in two, or in chunks', async () => {
    await using registry = await embedded();
    expect((await pushBlob(registry, 'acme/one', blob)).status).toBe(201);
    expect((await finish(await begin(registry, 'acme/two'), blob)).status).toBe(201);

    const url = await begin(registry);
    const first = await patch(url, 0, 100_000);
    expect([first.status, first.headers.get('range')]).toEqual([202, '0-99999']);
    expect((await patch(url, 100_000, 200_000)).headers.get('range')).toBe('0-199999');
    expect(await read(registry, sha256(blob))).toBe(404);
    const last = await finish(url, blob.subarray(200_000));
    expect(last.status).toBe(201);
    expect(last.headers.get('docker-content-digest')).toBe(sha256(blob));
    expect(await read(registry, sha256(blob))).toEqual(blob);
    expect((await fetch(url)).status).toBe(404);
  });

  it('takes a chunk only where the last one ended, and says where that is', async () => {
    await using registry = await embedded();
    const url = await begin(registry);
    await patch(url, 0, 1000);
    for (const start of [0, 999, 1001]) {
      const refused = await patch(url, start, start + 1000);
      expect([refused.status, refused.headers.get('range')]).toEqual([416, '0-999']);
      expect(await codeOf(refused)).toBe('BLOB_UPLOAD_INVALID');
    }
    const status = await fetch(url);
    expect([status.status, status.headers.get('range')]).toEqual([204, '0-999']);
    const lying = await fetch(url, {
      method: 'PATCH',
      headers: { 'content-range': '1000-1001' },
      body: 'three',
    });
    expect([lying.status, await codeOf(lying)]).toEqual([400, 'SIZE_INVALID']);
    expect((await finish(url, blob.subarray(1000))).status).toBe(201);
  });

  it('goes on where a broken connection stopped', async () => {
    await using registry = await embedded();
    const url = await begin(registry);
    await sendAndBreak(url, blob.subarray(0, 150_000), blob.byteLength);
    const offset = await vi.waitFor(async () => {
      const range = (await fetch(url)).headers.get('range');
      expect(range).toBe('0-149999');
      return Number(range?.split('-')[1]) + 1;
    });
    // The server may still be letting go of the broken request.
    await vi.waitFor(async () => {
      expect((await patch(url, offset, 200_000)).status).toBe(202);
    });
    expect((await finish(url, blob.subarray(200_000))).status).toBe(201);
    expect(await read(registry, sha256(blob))).toEqual(blob);
  });

  it('goes on after a restart, and serves what was pushed before it', async () => {
    await using directory = await temporaryDirectory();
    const image = imageSaying('before');
    let rest: string;
    {
      await using before = await embedded({ directory: directory.path });
      await pushImage(before, 'acme/site', 'one', image);
      const url = await begin(before);
      await patch(url, 0, 100_000);
      rest = new URL(url).pathname;
    }
    await using after = await embedded({ directory: directory.path });
    const found = await fetch(after.url('acme/site/manifests/one'));
    expect(Buffer.from(await found.arrayBuffer())).toEqual(image.manifest);
    expect(await read(after, sha256(image.layer))).toEqual(image.layer);
    const url = `http://${after.host}${rest}`;
    expect((await patch(url, 100_000, 200_000)).status).toBe(202);
    expect((await finish(url, blob.subarray(200_000))).status).toBe(201);
    expect(await read(after, sha256(blob))).toEqual(blob);
  });

  it('keeps nothing whose digest is wrong', async () => {
    await using registry = await embedded();
    const wrong = sha256(Buffer.from('something else'));
    for (const response of [
      await finish(await begin(registry), blob, wrong),
      await fetch(registry.url(`acme/site/blobs/uploads/?digest=${wrong}`), {
        method: 'POST',
        body: blob,
      }),
    ]) {
      expect([response.status, await codeOf(response)]).toEqual([400, 'DIGEST_INVALID']);
    }
    expect(await read(registry, wrong)).toBe(404);
    expect(await read(registry, sha256(blob))).toBe(404);
    expect(await readdir(path.join(registry.directory, 'uploads'))).toEqual([]);
    const unknown = await finish(
      await begin(registry),
      blob,
      'md5:d41d8cd98f00b204e9800998ecf8427e',
    );
    expect([unknown.status, await codeOf(unknown)]).toEqual([400, 'DIGEST_INVALID']);
  });

  it('takes no more than its limit, announced or not', async () => {
    await using registry = await embedded({ limits: { maximumBlobBytes: 200_000 } });
    const announced = await pushBlob(registry, 'acme/site', blob);
    expect([announced.status, await codeOf(announced)]).toEqual([413, 'SIZE_INVALID']);
    const streamed = await fetch(await begin(registry), {
      method: 'PATCH',
      body: new Blob([blob]).stream(),
      duplex: 'half',
    });
    expect(streamed.status).toBe(413);
    const url = await begin(registry);
    expect((await patch(url, 0, 150_000)).status).toBe(202);
    expect((await patch(url, 150_000, 300_000)).status).toBe(413);
  });

  it('knows an upload only under its own repository, and forgets a cancelled one', async () => {
    await using registry = await embedded();
    const url = await begin(registry);
    expect((await fetch(url.replace('acme/site', 'other/site'))).status).toBe(404);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(204);
    const gone = await patch(url, 0, 10);
    expect([gone.status, await codeOf(gone)]).toEqual([404, 'BLOB_UPLOAD_UNKNOWN']);
  });

  it('keeps one copy of a blob that many push at once', async () => {
    await using registry = await embedded();
    const repositories = ['a/a', 'a/a', 'b/b', 'c/c', 'c/c', 'd/d'];
    const pushed = await Promise.all(repositories.map((each) => pushBlob(registry, each, blob)));
    expect(pushed.map((response) => response.status)).toEqual(repositories.map(() => 201));
    const prefix = sha256(blob).slice('sha256:'.length, 'sha256:'.length + 2);
    expect(await readdir(path.join(registry.directory, 'blobs', 'sha256', prefix))).toHaveLength(1);
    expect(await readdir(path.join(registry.directory, 'uploads'))).toEqual([]);
    for (const each of repositories) {
      const found = await fetch(registry.url(`${each}/blobs/${sha256(blob)}`));
      expect(Buffer.from(await found.arrayBuffer())).toEqual(blob);
    }
  });

  it('lets one writer at a time into an upload', async () => {
    await using registry = await embedded();
    const url = await begin(registry);
    const slow = request(url, { method: 'PATCH' });
    const ended = new Promise((resolve) => slow.once('response', resolve));
    slow.write('begun');
    await vi.waitFor(async () => {
      expect((await fetch(url)).headers.get('range')).toBe('0-4');
    });
    expect((await patch(url, 5, 10)).status).toBe(409);
    slow.end();
    await ended;
  });

  it('cuts off a client that falls silent in the middle', async () => {
    await using registry = await embedded({ limits: { idleTimeoutMs: 100 } });
    const silent = request(await begin(registry), { method: 'PATCH' });
    const cut = new Promise((resolve) => silent.once('error', resolve));
    silent.write('and then nothing');
    expect(await cut).toBeInstanceOf(Error);
  });

  it('drops on opening what was abandoned a day ago, and nothing younger', async () => {
    await using directory = await temporaryDirectory();
    await using registry = await embedded({ directory: directory.path });
    await patch(await begin(registry), 0, 10);
    const uploads = path.join(directory.path, 'uploads');
    const [old] = await readdir(uploads);
    const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
    await utimes(path.join(uploads, old ?? ''), yesterday, yesterday);
    await begin(registry);

    await using next = createRegistryServer({ directory: directory.path });
    await next.open();
    expect(await readdir(uploads)).toHaveLength(1);
    expect(await readdir(uploads)).not.toContain(old);
  });

  it('answers 503 once it is closed', async () => {
    await using registry = await embedded();
    await registry.server.close();
    await registry.server.close();
    expect((await fetch(registry.url(''))).status).toBe(503);
    await expect(registry.server.open()).rejects.toMatchObject({ code: 'closed' });
  });
});

/** Announces `length` bytes, sends fewer, waits until they are on their way, and hangs up. */
async function sendAndBreak(url: string, bytes: Buffer, length: number): Promise<void> {
  const broken = request(url, { method: 'PATCH', headers: { 'content-length': length } });
  const gone = new Promise((resolve) => broken.once('close', resolve));
  broken.on('error', () => undefined);
  await new Promise((resolve) => broken.write(bytes, resolve));
  await vi.waitFor(async () => {
    expect((await fetch(url)).headers.get('range')).toBe(`0-${bytes.byteLength - 1}`);
  });
  broken.destroy();
  await gone;
}
