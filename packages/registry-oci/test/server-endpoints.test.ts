import { createHash } from 'node:crypto';
import { mediaTypes } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { embedded } from './support/embedded.ts';
import { descriptor, imageSaying, sha256 } from './support/image.ts';
import { codeOf, pushBlob, pushImage, pushManifest } from './support/push.ts';

const image = imageSaying('an image');
const tagsSchema = z.object({ tags: z.array(z.string()) });
const indexSchema = z.object({ manifests: z.array(z.object({ digest: z.string() })) });

describe('the embedded registry', () => {
  it('says which API it speaks', async () => {
    await using registry = await embedded();
    const response = await fetch(registry.url(''));
    expect(response.status).toBe(200);
    expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    expect((await fetch(registry.url(''), { method: 'POST' })).status).toBe(405);
    expect((await fetch(registry.url('_catalog'))).status).toBe(404);
  });

  it('serves a manifest by tag and by digest, with the type it was pushed with', async () => {
    await using registry = await embedded();
    const pushed = await pushImage(registry, 'acme/site', 'one', image);
    expect(pushed.status).toBe(201);
    expect(pushed.headers.get('docker-content-digest')).toBe(image.digest);
    expect(pushed.headers.get('location')).toBe(`/v2/acme/site/manifests/${image.digest}`);

    for (const reference of ['one', image.digest]) {
      const found = await fetch(registry.url(`acme/site/manifests/${reference}`));
      expect(found.status).toBe(200);
      expect(found.headers.get('content-type')).toBe(mediaTypes.ociManifest);
      expect(found.headers.get('docker-content-digest')).toBe(image.digest);
      expect(Buffer.from(await found.arrayBuffer())).toEqual(image.manifest);
      const head = await fetch(registry.url(`acme/site/manifests/${reference}`), {
        method: 'HEAD',
      });
      expect(head.headers.get('content-length')).toBe(String(image.manifest.byteLength));
      expect(await head.text()).toBe('');
    }
    const missing = await fetch(registry.url('acme/site/manifests/two'));
    expect([missing.status, await codeOf(missing)]).toEqual([404, 'MANIFEST_UNKNOWN']);
  });

  it('refuses a manifest whose content was not pushed to this repository', async () => {
    await using registry = await embedded();
    await pushImage(registry, 'acme/site', 'one', image);
    const elsewhere = await pushManifest(registry, 'acme/other', 'one', image.manifest);
    expect([elsewhere.status, await codeOf(elsewhere)]).toEqual([400, 'MANIFEST_BLOB_UNKNOWN']);
    expect((await fetch(registry.url('acme/other/manifests/one'))).status).toBe(404);
  });

  it('refuses what is no manifest, is another than its digest, or is too large', async () => {
    await using registry = await embedded({ limits: { maximumManifestBytes: 10_000 } });
    const put = (bytes: string, reference = 'one', type?: string) =>
      pushManifest(registry, 'acme/site', reference, Buffer.from(bytes), type);
    const refused = async (response: Response) => [response.status, await codeOf(response)];

    expect(await refused(await put('not json'))).toEqual([400, 'MANIFEST_INVALID']);
    expect(await refused(await put('{}'))).toEqual([400, 'MANIFEST_INVALID']);
    expect(await refused(await put('{}', 'one', 'text/html'))).toEqual([400, 'MANIFEST_INVALID']);
    expect(await refused(await put('['.repeat(9_999)))).toEqual([400, 'MANIFEST_INVALID']);
    expect(await refused(await put('{"mediaType":"x"}'))).toEqual([400, 'MANIFEST_INVALID']);
    expect(await refused(await put('{}', sha256(Buffer.from('[]'))))).toEqual([
      400,
      'DIGEST_INVALID',
    ]);
    expect(await refused(await put(' '.repeat(10_001)))).toEqual([413, 'MANIFEST_INVALID']);
    const streamed = await fetch(registry.url('acme/site/manifests/one'), {
      method: 'PUT',
      headers: { 'content-type': mediaTypes.ociManifest },
      body: new Blob([' '.repeat(50_000)]).stream(),
      duplex: 'half',
    });
    expect(streamed.status).toBe(413);
  });

  it('keeps content that is addressed by sha512, and collects it like any other', async () => {
    await using registry = await embedded({ limits: { garbageGraceMs: 0 } });
    const sha512 = (bytes: Uint8Array) =>
      `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
    const put = (bytes: Buffer<ArrayBuffer>, digest = sha512(bytes)) =>
      fetch(registry.url(`acme/site/blobs/uploads/?digest=${digest}`), {
        method: 'POST',
        body: bytes,
      });
    const descriptorOf = (mediaType: string, bytes: Uint8Array) => ({
      mediaType,
      digest: sha512(bytes),
      size: bytes.byteLength,
    });
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        config: descriptorOf(mediaTypes.ociConfig, image.config),
        layers: [descriptorOf(mediaTypes.ociLayerGzip, image.layer)],
      }),
    );
    expect((await put(image.config)).status).toBe(201);
    expect((await put(image.layer)).status).toBe(201);
    expect(await codeOf(await put(image.layer, sha512(image.config)))).toBe('DIGEST_INVALID');
    const digest = sha512(manifest);
    expect((await pushManifest(registry, 'acme/site', digest, manifest)).status).toBe(201);

    const signal = AbortSignal.timeout(10_000);
    expect((await registry.server.collectGarbage({ signal })).deletedBlobs).toBe(0);
    const found = await fetch(registry.url(`acme/site/blobs/${sha512(image.layer)}`));
    expect(Buffer.from(await found.arrayBuffer())).toEqual(image.layer);
    await fetch(registry.url(`acme/site/manifests/${digest}`), { method: 'DELETE' });
    expect((await registry.server.collectGarbage({ signal })).deletedBlobs).toBe(3);
  });

  it('accepts an index only over manifests that it has', async () => {
    await using registry = await embedded();
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [descriptor(mediaTypes.ociManifest, image.manifest)],
      }),
    );
    const put = () => pushManifest(registry, 'acme/site', 'all', index, mediaTypes.ociIndex);
    expect((await put()).status).toBe(400);
    await pushImage(registry, 'acme/site', image.digest, image);
    expect((await put()).status).toBe(201);
  });

  it('deletes a tag alone, or a manifest with all its tags', async () => {
    await using registry = await embedded();
    for (const tag of ['one', 'two', 'three']) await pushImage(registry, 'acme/site', tag, image);
    const remove = async (reference: string) =>
      (await fetch(registry.url(`acme/site/manifests/${reference}`), { method: 'DELETE' })).status;
    const tags = async () => (await fetch(registry.url('acme/site/tags/list'))).json();

    expect(await remove('one')).toBe(202);
    expect(await tags()).toEqual({ name: 'acme/site', tags: ['three', 'two'] });
    expect(await remove(image.digest)).toBe(202);
    expect(await tags()).toEqual({ name: 'acme/site', tags: [] });
    expect(await remove(image.digest)).toBe(404);
    expect((await fetch(registry.url('acme/site/manifests/two'))).status).toBe(404);
  });

  it('serves a blob whole or in ranges', async () => {
    await using registry = await embedded();
    const blob = Buffer.from('0123456789');
    await pushBlob(registry, 'acme/site', blob);
    const get = (range: string) =>
      fetch(registry.url(`acme/site/blobs/${sha256(blob)}`), { headers: { range } });

    const whole = await fetch(registry.url(`acme/site/blobs/${sha256(blob)}`));
    expect(whole.headers.get('docker-content-digest')).toBe(sha256(blob));
    expect(await whole.text()).toBe('0123456789');
    const cases = [
      ['bytes=2-4', '234', 'bytes 2-4/10'],
      ['bytes=7-', '789', 'bytes 7-9/10'],
      ['bytes=-2', '89', 'bytes 8-9/10'],
      ['bytes=8-99', '89', 'bytes 8-9/10'],
    ] as const;
    for (const [range, text, header] of cases) {
      const part = await get(range);
      expect([part.status, await part.text()]).toEqual([206, text]);
      expect(part.headers.get('content-range')).toBe(header);
    }
    const beyond = await get('bytes=10-');
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe('bytes */10');
    for (const ignored of ['bytes=4-2', 'bytes=-', 'lines=1-2', 'bytes=0-1,3-4']) {
      expect((await get(ignored)).status).toBe(200);
    }
  });

  it('serves the empty blob', async () => {
    await using registry = await embedded();
    const digest = sha256(Buffer.alloc(0));
    expect((await pushBlob(registry, 'acme/site', Buffer.alloc(0))).status).toBe(201);
    const found = await fetch(registry.url(`acme/site/blobs/${digest}`));
    expect([found.status, found.headers.get('content-length')]).toEqual([200, '0']);
  });

  it('shows a blob only to the repositories that it was pushed to or mounted into', async () => {
    await using registry = await embedded();
    const blob = Buffer.from('private');
    await pushBlob(registry, 'acme/site', blob);
    const status = async (repository: string) =>
      (await fetch(registry.url(`${repository}/blobs/${sha256(blob)}`), { method: 'HEAD' })).status;
    const mount = (from: string) =>
      fetch(registry.url(`other/site/blobs/uploads/?mount=${sha256(blob)}&from=${from}`), {
        method: 'POST',
      });

    expect([await status('acme/site'), await status('other/site')]).toEqual([200, 404]);
    const nothing = await mount('nobody/site');
    expect(nothing.status).toBe(202);
    expect(nothing.headers.get('docker-upload-uuid')).toMatch(/^[0-9a-f-]{36}$/);
    const mounted = await mount('acme/site');
    expect(mounted.status).toBe(201);
    expect(mounted.headers.get('location')).toBe(`/v2/other/site/blobs/${sha256(blob)}`);
    expect(await status('other/site')).toBe(200);

    const removed = await fetch(registry.url(`acme/site/blobs/${sha256(blob)}`), {
      method: 'DELETE',
    });
    expect(removed.status).toBe(202);
    expect([await status('acme/site'), await status('other/site')]).toEqual([404, 200]);
  });

  it('lists tags in pages that link to the next', async () => {
    await using registry = await embedded();
    expect((await fetch(registry.url('acme/site/tags/list'))).status).toBe(404);
    for (const tag of ['b', 'a', 'B', 'c']) await pushImage(registry, 'acme/site', tag, image);

    const pages: string[][] = [];
    let path: string | undefined = '/v2/acme/site/tags/list?n=3';
    while (path !== undefined) {
      const response: Response = await fetch(`http://${registry.host}${path}`);
      pages.push(tagsSchema.parse(await response.json()).tags);
      path = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    }
    expect(pages).toEqual([['B', 'a', 'b'], ['c']]);
    expect(await (await fetch(registry.url('acme/site/tags/list?n=0'))).json()).toMatchObject({
      tags: [],
    });
    expect((await fetch(registry.url('acme/site/tags/list?n=x'))).status).toBe(400);
    const after = await fetch(registry.url('acme/site/tags/list?last=a'));
    expect(await after.json()).toMatchObject({ tags: ['b', 'c'] });
  });

  it('lists what refers to a subject, filtered by artifact type', async () => {
    await using registry = await embedded();
    await pushImage(registry, 'acme/site', 'one', image);
    const referrer = (artifactType: string) =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.ociManifest,
          artifactType,
          config: descriptor(mediaTypes.ociConfig, image.config),
          layers: [],
          subject: descriptor(mediaTypes.ociManifest, image.manifest),
          annotations: { by: 'a test' },
        }),
      );
    const [sbom, signature] = [referrer('application/sbom'), referrer('application/signature')];
    for (const bytes of [sbom, signature]) {
      const pushed = await pushManifest(registry, 'acme/site', sha256(bytes), bytes);
      expect(pushed.headers.get('oci-subject')).toBe(image.digest);
    }
    const list = (query = '') => fetch(registry.url(`acme/site/referrers/${image.digest}${query}`));

    const all = await list();
    expect(all.headers.get('content-type')).toBe(mediaTypes.ociIndex);
    const found = indexSchema.parse(await all.json());
    expect(found.manifests.map((each) => each.digest).sort()).toEqual(
      [sha256(sbom), sha256(signature)].sort(),
    );
    const filtered = await list('?artifactType=application/sbom');
    expect(filtered.headers.get('oci-filters-applied')).toBe('artifactType');
    expect(await filtered.json()).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        {
          ...descriptor(mediaTypes.ociManifest, sbom),
          artifactType: 'application/sbom',
          annotations: { by: 'a test' },
        },
      ],
    });
    await fetch(registry.url(`acme/site/manifests/${sha256(sbom)}`), { method: 'DELETE' });
    expect(await (await list('?artifactType=application/sbom')).json()).toMatchObject({
      manifests: [],
    });
    const none = await fetch(registry.url(`nobody/site/referrers/${image.digest}`));
    expect(none.status).toBe(200);
    expect(await none.json()).toMatchObject({ manifests: [] });
  });

  it('asks who may do what, for each repository and action', async () => {
    const asked: string[] = [];
    await using registry = await embedded({
      authorize: async ({ authorization, repository, action }) => {
        asked.push(`${action} ${repository}`);
        if (authorization === undefined) return 'unauthenticated';
        return repository === 'secret/site' ? 'forbidden' : 'allow';
      },
    });
    const as = (path: string, method = 'GET', known = true) =>
      fetch(registry.url(path), {
        method,
        ...(known && { headers: { authorization: 'Basic eA==' } }),
      });

    const stranger = await as('acme/site/tags/list', 'GET', false);
    expect(stranger.headers.get('www-authenticate')).toBe('Basic realm="cygni"');
    expect([stranger.status, await codeOf(stranger)]).toEqual([401, 'UNAUTHORIZED']);
    const denied = await as('secret/site/manifests/one');
    expect([denied.status, await codeOf(denied)]).toEqual([403, 'DENIED']);
    const blob = Buffer.from('x');
    await as('', 'GET');
    await as('acme/site/blobs/uploads/', 'POST');
    await as(`acme/site/blobs/${sha256(blob)}`, 'DELETE');
    expect(asked).toEqual([
      'pull acme/site',
      'pull secret/site',
      'pull null',
      'push acme/site',
      'delete acme/site',
    ]);

    // A mount from where one may not read becomes an ordinary upload, which tells nothing.
    const mount = await as(
      `acme/site/blobs/uploads/?mount=${sha256(blob)}&from=secret/site`,
      'POST',
    );
    expect(mount.status).toBe(202);
  });

  it('answers an error, not a door left open, when it cannot know who asks', async () => {
    await using registry = await embedded({
      authorize: async () => {
        throw new Error('the user store is down');
      },
    });
    const response = await fetch(registry.url('acme/site/tags/list'));
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('user store');
  });
});
