import { type Call, mediaTypes, type RegistryCredentials } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { createImageClient, type ImageClientOptions } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { embedded } from './support/embedded.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { pushBlob, pushImage } from './support/push.ts';
import { reply, scriptedRegistry } from './support/scripted-registry.ts';

const call = callWith();
const image = imageSaying('at a mirror');
const blob = sha256(image.layer);
const retry = { retries: 1, firstDelayMs: 1 };
const http = (host: string) => ({ url: `http://${host}` });
const basic = (user: string) => `Basic ${Buffer.from(`${user}:p`).toString('base64')}`;
const nobody = { host: 'registry.invalid', repository: 'acme/site', insecure: true };

function clientWith(mirrors: NonNullable<ImageClientOptions['mirrors']>) {
  return createImageClient({ retry, mirrors });
}

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(content));
}

/** An embedded registry that has the image and says what it is asked. */
async function stocked() {
  const asked: string[] = [];
  const served = await embedded({
    authorize: async ({ repository, action }) => {
      asked.push(`${action} ${repository}`);
      return 'allow';
    },
  });
  await pushImage(served, 'acme/site', 'one', image);
  asked.length = 0;
  return { ...served, asked };
}

describe('pulls through mirrors', () => {
  it('read from the mirror and leave the registry alone', async () => {
    await using origin = await stocked();
    await using mirror = await stocked();
    await using client = clientWith({ [origin.host]: [http(mirror.host)] });
    const location = origin.location('acme/site');
    expect((await client.getManifest(location, 'one', call)).digest).toBe(image.digest);
    expect(await bytesOf(await client.getBlob(location, blob, call))).toEqual(image.layer);
    expect(origin.asked).toEqual([]);
    expect(mirror.asked).toHaveLength(2);
  });

  it('read from the registry what a mirror lacks, and all where the mirrors are stopped', async () => {
    await using origin = await stocked();
    await using empty = await embedded();
    const stopped = await embedded();
    await stopped[Symbol.asyncDispose]();
    await using client = clientWith({ [origin.host]: [http(stopped.host), http(empty.host)] });
    const location = origin.location('acme/site');
    expect((await client.getManifest(location, 'one', call)).digest).toBe(image.digest);
    expect(await bytesOf(await client.getBlob(location, blob, call))).toEqual(image.layer);
    expect(origin.asked).toHaveLength(2);
  });

  it('try the mirrors in the order they are named', async () => {
    await using empty = await stocked();
    await using mirror = await stocked();
    await pushImage(mirror, 'acme/site', 'two', image);
    await using client = clientWith({ [nobody.host]: [http(empty.host), http(mirror.host)] });
    expect((await client.getManifest(nobody, 'one', call)).digest).toBe(image.digest);
    expect((await client.getManifest(nobody, 'two', call)).digest).toBe(image.digest);
    expect(empty.asked).toHaveLength(2);
  });

  it('ask a mirror that is broken once, and then not for a while', async () => {
    await using origin = await stocked();
    await using broken = await scriptedRegistry((_, response) => reply(response, 503));
    await using client = clientWith({ [origin.host]: [http(broken.host)] });
    const location = origin.location('acme/site');
    for (let pull = 0; pull < 3; pull += 1) await client.getManifest(location, 'one', call);
    expect(broken.seen).toHaveLength(1);
  });

  it('fail as the registry does where nobody has it, and say which mirror was passed over', async () => {
    await using origin = await stocked();
    await using broken = await scriptedRegistry((_, response) => reply(response, 503));
    await using client = clientWith({ [origin.host]: [http(broken.host)] });
    const warnings: unknown[] = [];
    const log: Call['log'] = { ...call.log, warn: (fields) => void warnings.push(fields) };
    const missing = client.getManifest(origin.location('acme/site'), 'two', { ...call, log });
    await expect(missing).rejects.toMatchObject({ code: 'not_found' });
    expect(warnings).toEqual([expect.objectContaining({ mirror: broken.host })]);
  });

  it('do not take a manifest for another, whatever the mirror says', async () => {
    await using origin = await stocked();
    const other = imageSaying('something else').manifest;
    const headers = { 'content-type': mediaTypes.ociManifest };
    await using liar = await scriptedRegistry((_, response) =>
      reply(response, 200, headers, other),
    );
    await using client = clientWith({ [origin.host]: [http(liar.host)] });
    const found = await client.getManifest(origin.location('acme/site'), image.digest, call);
    expect(Buffer.from(found.bytes)).toEqual(image.manifest);
  });

  it('do not take a blob for another, and get it from the registry the next time', async () => {
    await using origin = await stocked();
    await using liar = await scriptedRegistry((_, response) => reply(response, 200, {}, 'other'));
    await using client = clientWith({ [origin.host]: [http(liar.host)] });
    const location = origin.location('acme/site');
    const wrong = bytesOf(await client.getBlob(location, blob, call));
    await expect(wrong).rejects.toMatchObject({ code: 'integrity' });
    expect(await bytesOf(await client.getBlob(location, blob, call))).toEqual(image.layer);
  });

  it('go on at the registry where a mirror breaks off', async () => {
    await using origin = await stocked();
    const large = Buffer.alloc(3_000_000, 'layer');
    await pushBlob(origin, 'acme/site', large);
    await using half = await scriptedRegistry((_, response) => {
      response.writeHead(200, { 'content-length': large.byteLength });
      response.write(large.subarray(0, 1_000_000), () => response.destroy());
    });
    await using client = clientWith({ [origin.host]: [http(half.host)] });
    const content = await client.getBlob(origin.location('acme/site'), sha256(large), call);
    expect(sha256(await bytesOf(content))).toBe(sha256(large));
    expect(half.seen).toHaveLength(1);
  });

  it('send to each its own credentials and to nobody else’s', async () => {
    const credentials = (username: string): RegistryCredentials => ({
      username,
      password: 'p',
      expiresAt: null,
      reach: 'account',
    });
    const atOrigin = new Set<string | undefined>();
    await using origin = await embedded({
      authorize: async ({ authorization }) => {
        atOrigin.add(authorization);
        return authorization === basic('origin') ? 'allow' : 'unauthenticated';
      },
    });
    const sent: (string | undefined)[][] = [[], []];
    const asking = (index: number) =>
      scriptedRegistry((seen, response) => {
        sent[index]?.push(seen.headers.authorization);
        const known = seen.headers.authorization !== undefined;
        reply(response, known ? 404 : 401, { 'www-authenticate': 'Basic realm="mirror"' });
      });
    await using private1 = await asking(0);
    await using anonymous = await asking(1);
    await using client = clientWith({
      [origin.host]: [
        { ...http(private1.host), credentials: async () => credentials('mirror') },
        http(anonymous.host),
      ],
    });
    const location = { ...origin.location('acme/site'), credentials: credentials('origin') };
    const missing = client.getManifest(location, 'one', call);
    await expect(missing).rejects.toMatchObject({ code: 'not_found' });
    expect(sent).toEqual([[undefined, basic('mirror')], [undefined]]);
    expect([...atOrigin]).toEqual([undefined, basic('origin')]);
  });

  it('reach a mirror that keeps the images of a registry below a path, by the names of Docker Hub', async () => {
    await using mirror = await embedded();
    await pushImage(mirror, 'hub/library/alpine', '3', image);
    await using client = clientWith({ 'docker.io': [{ url: `http://${mirror.host}/hub/` }] });
    const official = { host: 'index.docker.io', repository: 'alpine', insecure: false };
    expect((await client.getManifest(official, '3', call)).digest).toBe(image.digest);
  });

  it('end with an abort, and not at the next one', async () => {
    await using origin = await stocked();
    const controller = new AbortController();
    await using slow = await scriptedRegistry(() => controller.abort());
    await using client = clientWith({ [origin.host]: [http(slow.host)] });
    const aborted = callWith(controller.signal);
    const pull = client.getManifest(origin.location('acme/site'), 'one', aborted);
    await expect(pull).rejects.toMatchObject({ code: 'aborted' });
    expect(origin.asked).toEqual([]);
  });
});

describe('pushes', () => {
  it('never go to a mirror, what they ask first included', async () => {
    await using origin = await embedded();
    await using mirror = await stocked();
    await using client = clientWith({ [origin.host]: [http(mirror.host)] });
    const location = origin.location('acme/site');
    for (const bytes of [image.config, image.layer]) {
      const digest = sha256(bytes);
      const open = async function* () {
        yield bytes;
      };
      await client.putBlob(location, { digest, sizeBytes: bytes.byteLength, open }, call);
    }
    const manifest = { mediaType: mediaTypes.ociManifest, bytes: image.manifest };
    await client.putManifest(location, 'one', manifest, call);
    expect(mirror.asked).toEqual([]);
    expect((await fetch(origin.url('acme/site/manifests/one'))).status).toBe(200);
  });
});

it('mirrors that cannot be used are refused by name', () => {
  for (const url of ['ghcr.io', 'ftp://x', 'http://u:hunter2@x', 'https://x/?a=1']) {
    const refused = () => clientWith({ 'docker.io': [{ url }] });
    expect(refused).toThrow(/mirrors/);
    expect(refused).not.toThrow(/hunter2/);
  }
});
