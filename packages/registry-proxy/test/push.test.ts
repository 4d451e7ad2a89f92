import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { mediaTypes } from '@cygni/core';
import { createImageClient, type OciImageClient } from '@cygni/registry-oci';
import { describe, expect, it } from 'vitest';
import { type GuardedRegistryOptions, guardedRegistry } from './support/guarded-registry.ts';
import { type Image, image, sha256, writeLayout } from './support/image.ts';
import { configurationFor, type RunningProxy, runProxy } from './support/proxy.ts';

const run = promisify(execFile);
const skopeo = await run('skopeo', ['--version']).then(
  () => true,
  () => false,
);
if (!skopeo && !process.env.CI) {
  process.stderr.write('SKIPPED: skopeo is not installed, so no foreign client was tried\n');
}

const call = {
  signal: AbortSignal.timeout(60_000),
  log: { debug() {}, info() {}, warn() {}, error() {} },
};
const kinds: readonly GuardedRegistryOptions[] = [
  { kind: 'ecr', redirects: true },
  { kind: 'basic' },
  { kind: 'bearer' },
];

async function push(client: OciImageClient, proxy: RunningProxy, each: Image, tag = 'one') {
  const location = proxy.location('target/acme/site');
  for (const bytes of [each.config, each.layer]) {
    const blob = { digest: sha256(bytes), sizeBytes: bytes.byteLength };
    await client.putBlob(
      location,
      {
        ...blob,
        open: async function* () {
          yield bytes;
        },
      },
      call,
    );
  }
  const manifest = { mediaType: mediaTypes.ociManifest, bytes: each.manifest };
  return client.putManifest(location, tag, manifest, call);
}

describe.each(kinds)('a push through the proxy to a registry of kind $kind', (kind) => {
  it('arrives, is reported with the digest that the registry took, and can be pulled', async () => {
    await using registry = await guardedRegistry(kind);
    const password = registry.issue();
    await using proxy = await runProxy(configurationFor(registry, password));
    await using client = createImageClient();
    const each = image();
    expect(await push(client, proxy, each)).toBe(each.digest);
    expect(proxy.events()).toEqual([
      { event: 'listening', port: Number(proxy.host.split(':')[1]) },
      {
        event: 'pushed',
        upstream: 'target',
        repository: 'acme/site',
        reference: 'one',
        digest: each.digest,
      },
    ]);
    const location = proxy.location('target/acme/site');
    const found = await client.getManifest(location, 'one', call);
    expect(Buffer.from(found.bytes)).toEqual(each.manifest);
    const chunks: Uint8Array[] = [];
    for await (const chunk of await client.getBlob(location, sha256(each.layer), call)) {
      chunks.push(chunk);
    }
    expect(Buffer.concat(chunks)).toEqual(each.layer);
    const there = await registry.direct('/v2/acme/site/manifests/one');
    expect(there.headers.get('docker-content-digest')).toBe(each.digest);
    expect(registry.fetched.length > 0).toBe(kind.redirects === true);
    expect(registry.fetched.every((each) => each.authorization === undefined)).toBe(true);
  });

  it.each([
    ['POST', /uploads/],
    ['PUT', /uploads/],
    ['PUT', /manifests/],
    ['HEAD', /blobs/],
  ])('goes on when the credentials expire just before %s %s', async (method, pattern) => {
    await using registry = await guardedRegistry(kind);
    await using proxy = await runProxy(configurationFor(registry, registry.issue()));
    await using client = createImageClient({
      monolithicBytes: 0,
      retry: { firstDelayMs: 1, longestDelayMs: 5 },
    });
    await push(client, proxy, image(), 'two');
    registry.expireAt(method, pattern);
    const each = image();
    const pushed = push(client, proxy, each);
    await expect.poll(() => registry.armed()).toBe(0);
    await proxy.write(configurationFor(registry, registry.issue()));
    expect(await pushed).toBe(each.digest);
    expect(proxy.events().map((one) => one.event)).toEqual(['listening', 'pushed', 'pushed']);
  });
});

describe('a blob whose bytes are under way when the credentials expire', () => {
  it('is asked for again with a 503, which clients answer by sending it once more', async () => {
    await using registry = await guardedRegistry();
    await using proxy = await runProxy(configurationFor(registry, registry.issue()));
    await using client = createImageClient({
      monolithicBytes: 0,
      retry: { firstDelayMs: 1, longestDelayMs: 5 },
    });
    registry.expireAt('PATCH', /uploads/);
    const each = image(20_000_000);
    const pushed = push(client, proxy, each);
    await expect.poll(() => registry.armed()).toBe(0);
    await proxy.write(configurationFor(registry, registry.issue()));
    expect(await pushed).toBe(each.digest);
    expect(registry.seen.filter((one) => one.method === 'PATCH' && one.status === 403).length).toBe(
      1,
    );
  });
});

describe.skipIf(!skopeo && !process.env.CI)('skopeo through the proxy', () => {
  it.each(kinds)('copies an image there and back (kind $kind)', async (kind) => {
    await using registry = await guardedRegistry(kind);
    await using proxy = await runProxy(configurationFor(registry, registry.issue()));
    const scratch = await mkdtemp(path.join(tmpdir(), 'cygni-skopeo-'));
    try {
      const each = image(3_000_000);
      await writeLayout(each, path.join(scratch, 'there'));
      const name = `docker://${proxy.host}/target/acme/site:one`;
      const copy = (...argv: string[]) =>
        run('skopeo', ['--insecure-policy', 'copy', ...argv], {
          timeout: 30_000,
          env: { ...process.env, REGISTRY_AUTH_FILE: '/nonexistent/auth.json' },
        });
      await copy('--dest-tls-verify=false', `oci:${scratch}/there:latest`, name);
      await copy('--src-tls-verify=false', name, `oci:${scratch}/back:latest`);
      expect(proxy.events().at(-1)).toMatchObject({ event: 'pushed', digest: each.digest });
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
});
