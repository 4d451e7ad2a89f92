import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
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
