import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageManifestSchema } from '@cygni/core';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { embedded } from './support/embedded.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { pushImage } from './support/push.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

describe('an embedded registry that is killed in the middle of an upload', () => {
  it('has what was pushed before, nothing of what was not, and can be pushed the rest', async () => {
    await using directory = await temporaryDirectory();
    const image = imageSaying('pushed in time');
    const blob = randomBytes(3_000_000);
    const { child, port } = await serve(directory.path);
    const exited = once(child, 'exit');
    const base = `http://127.0.0.1:${port}`;
    let upload: string;
    try {
      await pushImage({ url: (rest) => `${base}/v2/${rest}` }, 'acme/site', 'one', image);
      const begun = await fetch(`${base}/v2/acme/site/blobs/uploads/`, { method: 'POST' });
      upload = begun.headers.get('location') ?? '';
      const sending = request(`${base}${upload}`, { method: 'PATCH' });
      sending.on('error', () => undefined);
      sending.write(blob.subarray(0, 2_000_000));
      await vi.waitFor(async () => {
        const range = (await fetch(`${base}${upload}`)).headers.get('range');
        expect(range).toBe('0-1999999');
      });
    } finally {
      child.kill('SIGKILL');
      await exited;
    }

    await using after = await embedded({ directory: directory.path });
    const found = await fetch(after.url('acme/site/manifests/one'));
    expect(Buffer.from(await found.arrayBuffer())).toEqual(image.manifest);
    const blobUrl = after.url(`acme/site/blobs/${sha256(blob)}`);
    expect((await fetch(blobUrl)).status).toBe(404);
    const rest = await fetch(`http://${after.host}${upload}?digest=${sha256(blob)}`, {
      method: 'PUT',
      headers: { 'content-range': `2000000-${blob.byteLength - 1}` },
      body: blob.subarray(2_000_000),
    });
    expect(rest.status).toBe(201);
    expect(Buffer.from(await (await fetch(blobUrl)).arrayBuffer())).toEqual(blob);
  });
});

describe('an embedded registry that is killed among pushes of manifests', () => {
  it('serves whole images only: what has a tag has all of its content', async () => {
    await using directory = await temporaryDirectory();
    for (let round = 0; round < 4; round += 1) {
      const { child, port } = await serve(directory.path);
      const exited = once(child, 'exit');
      const url = (rest: string) => `http://127.0.0.1:${port}/v2/${rest}`;
      const accepted: number[] = [];
      // As many at once as find some manifest at every step of its way when the process dies.
      const pushing = Array.from({ length: 40 }, async (_, index) => {
        const image = imageSaying(`round ${round}, image ${index}`);
        const answer = await pushImage({ url }, 'acme/site', `r${round}-${index}`, image);
        if (answer.status === 201) accepted.push(index);
        await vi.waitFor(() => expect(accepted.length).toBeGreaterThan(2 + round * 4));
        child.kill('SIGKILL');
      });
      await Promise.allSettled(pushing);
      await exited;

      await using after = await embedded({
        directory: directory.path,
        limits: { garbageGraceMs: 0, staleUploadMs: 1 },
      });
      const signal = AbortSignal.timeout(20_000);
      await after.server.collectGarbage({ signal });
      const list = await fetch(after.url('acme/site/tags/list'));
      const { tags } = z.object({ tags: z.array(z.string()) }).parse(await list.json());
      for (const index of accepted) expect(tags).toContain(`r${round}-${index}`);
      expect(accepted.length).toBeGreaterThan(2);
      for (const tag of tags) {
        const found = await fetch(after.url(`acme/site/manifests/${tag}`));
        const manifest = imageManifestSchema.parse(await found.json());
        for (const { digest, size } of [manifest.config, ...manifest.layers]) {
          const blob = await fetch(after.url(`acme/site/blobs/${digest}`));
          const bytes = Buffer.from(await blob.arrayBuffer());
          expect([blob.status, bytes.byteLength, sha256(bytes)]).toEqual([200, size, digest]);
        }
      }
      // What was on its way is gone, now that it is old enough.
      expect(await readdir(path.join(directory.path, 'scratch'))).toEqual([]);
      expect(await readdir(path.join(directory.path, 'uploads'))).toEqual([]);
    }
  });
});

async function serve(
  directory: string,
): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const script = fileURLToPath(new URL('./support/serve-registry.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=cygni-source', script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
  return { child, port: Number(String(line).trim()) };
}
