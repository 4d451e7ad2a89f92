import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { RepositoryLocation } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../src/client/challenge.ts';
import { createImageClient } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { embedded } from './support/embedded.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { listen } from './support/listen.ts';
import {
  reply,
  type ScriptedRegistry,
  type Seen,
  scriptedRegistry,
} from './support/scripted-registry.ts';

const call = callWith();
const image = imageSaying('behind a token');
const quick = { retry: { firstDelayMs: 1, longestDelayMs: 5 } };

/** A registry with a token server; `good` says which tokens it takes at the moment. */
async function tokenRegistry(
  good: (token: string, seen: Seen) => boolean,
  serve: (seen: Seen, response: ServerResponse) => void,
  expiresIn = 300,
): Promise<ScriptedRegistry & { readonly issued: () => number }> {
  let issued = 0;
  const registry = await scriptedRegistry((seen, response) => {
    if (seen.path.startsWith('/token')) {
      issued += 1;
      reply(response, 200, {}, JSON.stringify({ token: `t${issued}`, expires_in: expiresIn }));
      return;
    }
    const token = /^Bearer (.+)$/.exec(seen.headers.authorization ?? '')?.[1];
    if (token !== undefined && good(token, seen)) {
      serve(seen, response);
      return;
    }
    reply(response, 401, {
      'www-authenticate': `Bearer realm="http://${registry.host}/token",service="r",scope="repository:acme/site:pull"`,
    });
  });
  return { ...registry, issued: () => issued };
}

const serveManifest = (_: Seen, response: ServerResponse) =>
  reply(response, 200, { 'content-type': 'application/json' }, image.manifest);

function credentialed(location: RepositoryLocation, username: string): RepositoryLocation {
  const credentials = { username, password: 'p', expiresAt: null, reach: 'account' as const };
  return { ...location, credentials };
}

describe('the image client and registries that want tokens', () => {
  it('gets a token for what it is about to do, and keeps it', async () => {
    await using registry = await tokenRegistry(() => true, serveManifest);
    await using client = createImageClient(quick);
    const location = credentialed(registry.location(), 'me');
    await client.getManifest(location, 'one', call);
    await client.getManifest(location, 'two', call);

    expect(registry.issued()).toBe(1);
    const asked = registry.seen.find((each) => each.path.startsWith('/token'));
    const query = new URL(asked?.path ?? '', 'http://x').searchParams;
    expect(query.get('service')).toBe('r');
    expect(query.getAll('scope')).toEqual(['repository:acme/site:pull']);
    expect(asked?.headers.authorization).toBe(`Basic ${Buffer.from('me:p').toString('base64')}`);
  });

  it('asks anonymously where it has no credentials, and never lends one caller’s token to another', async () => {
    await using registry = await tokenRegistry(() => true, serveManifest);
    await using client = createImageClient(quick);
    await client.getManifest(registry.location(), 'one', call);
    await client.getManifest(credentialed(registry.location(), 'me'), 'one', call);
    await client.getManifest(credentialed(registry.location(), 'you'), 'one', call);
    const asked = registry.seen.filter((each) => each.path.startsWith('/token'));
    expect(asked.map((each) => each.headers.authorization)).toEqual([
      undefined,
      `Basic ${Buffer.from('me:p').toString('base64')}`,
      `Basic ${Buffer.from('you:p').toString('base64')}`,
    ]);
  });

  it('gets a new token when the old one has run out by its own account', async () => {
    await using registry = await tokenRegistry(() => true, serveManifest, 0.000_001);
    await using client = createImageClient(quick);
    await client.getManifest(registry.location(), 'one', call);
    await client.getManifest(registry.location(), 'one', call);
    expect(registry.issued()).toBe(2);
  });

  it('goes on when the token expires in the middle of a push', async () => {
    await using behind = await embedded();
    const refused: string[] = [];
    let patches = 0;
    await using registry = await tokenRegistry(
      (token, seen) => {
        if (seen.method === 'PATCH' && token === 't1') {
          patches += 1;
          if (patches > 1) refused.push(seen.headers['content-range'] ?? '');
        }
        return token !== 't1' || patches <= 1;
      },
      (seen, response) => void forward(behind.url(''), seen, response),
    );
    await using client = createImageClient({ ...quick, monolithicBytes: 0, chunkBytes: 40_000 });
    const bytes = randomBytes(100_000);
    let opened = 0;
    await client.putBlob(
      registry.location(),
      {
        digest: sha256(bytes),
        sizeBytes: bytes.byteLength,
        async *open() {
          opened += 1;
          yield bytes;
        },
      },
      call,
    );
    expect(refused).toEqual(['40000-79999']);
    expect([opened, registry.issued()]).toEqual([1, 2]);
    const stored = await fetch(behind.url(`acme/site/blobs/${sha256(bytes)}`));
    expect(Buffer.from(await stored.arrayBuffer())).toEqual(bytes);
  });

  it('goes on when the token expires between two requests of one push, and the second one streams', async () => {
    await using behind = await embedded();
    const refused: string[] = [];
    let expired = false;
    await using registry = await tokenRegistry(
      (token, seen) => {
        expired ||= seen.method === 'PATCH';
        if (expired && token === 't1') refused.push(seen.method);
        return !expired || token !== 't1';
      },
      (seen, response) => void forward(behind.url(''), seen, response),
    );
    await using client = createImageClient({ ...quick, monolithicBytes: 0 });
    const bytes = randomBytes(100_000);
    const blob = {
      digest: sha256(bytes),
      sizeBytes: bytes.byteLength,
      async *open() {
        yield bytes;
      },
    };
    await client.putBlob(registry.location(), blob, call);
    // The stream is not sent blindly again: the client asks how far it got, and that renews the token.
    expect([refused, registry.issued()]).toEqual([['PATCH', 'GET'], 2]);
    const stored = await fetch(behind.url(`acme/site/blobs/${blob.digest}`));
    expect(Buffer.from(await stored.arrayBuffer())).toEqual(bytes);
  });

  it('gives up after one new token that is refused as well', async () => {
    await using registry = await tokenRegistry(() => false, serveManifest);
    await using client = createImageClient(quick);
    await expect(client.getManifest(registry.location(), 'one', call)).rejects.toMatchObject({
      code: 'forbidden',
      retryable: false,
    });
    expect(registry.seen).toHaveLength(3);
  });

  it.each([
    ['no realm', 'Bearer service="x"'],
    ['a realm of another kind', 'Bearer realm="file:///etc/passwd"'],
    ['a realm with a user', 'Bearer realm="http://a:b@127.0.0.1/"'],
    ['a scheme nobody knows', 'Negotiate'],
    ['nothing', ''],
  ])('refuses a challenge with %s', async (_, challenge) => {
    await using registry = await scriptedRegistry((__, response) =>
      reply(response, 401, { 'www-authenticate': challenge }),
    );
    await using client = createImageClient(quick);
    await expect(
      client.getManifest(credentialed(registry.location(), 'me'), 'one', call),
    ).rejects.toMatchObject({ code: 'forbidden' });
    expect(registry.seen).toHaveLength(1);
  });

  it('sends no token that would not be one header', async () => {
    await using registry = await scriptedRegistry((seen, response) =>
      seen.path.startsWith('/token')
        ? reply(response, 200, {}, JSON.stringify({ token: 'a\r\nx-evil: 1' }))
        : reply(response, 401, {
            'www-authenticate': `Bearer realm="http://${registry.host}/token"`,
          }),
    );
    await using client = createImageClient(quick);
    await expect(client.getManifest(registry.location(), 'one', call)).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  it('follows a redirect of a blob elsewhere, but takes no authorization along', async () => {
    const received: (string | undefined)[] = [];
    await using elsewhere = await listen((request, response) => {
      received.push(request.headers.authorization);
      response.end(image.layer);
    });
    await using registry = await tokenRegistry(
      () => true,
      (_, response) => reply(response, 307, { location: `http://${elsewhere.host}/b?sig=%2B~` }),
    );
    await using client = createImageClient(quick);
    const chunks: Uint8Array[] = [];
    const stream = await client.getBlob(registry.location(), sha256(image.layer), call);
    for await (const chunk of stream) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(image.layer);
    expect(received).toEqual([undefined]);
  });
});

describe('a challenge', () => {
  it.each([
    ['Basic realm="a b"', [['basic', { realm: 'a b' }]]],
    [
      'Bearer realm="https://a/t",service="s",scope="repository:a:pull,push"',
      [['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:a:pull,push' }]],
    ],
    [
      'BASIC Realm=x, Bearer realm="y\\"z"',
      [
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'y"z' }],
      ],
    ],
    [
      'Negotiate, Basic realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    ['Bearer realm="never closed', [['bearer', {}]]],
    ['', []],
    [',,,', []],
  ])('%s', (header, expected) => {
    const found = parseChallenges(header).map((each) => [
      each.scheme,
      Object.fromEntries(each.parameters),
    ]);
    // What follows a broken parameter is not of interest.
    expect(found.slice(0, expected.length)).toEqual(expected);
  });
});

async function forward(base: string, seen: Seen, response: ServerResponse): Promise<void> {
  const headers = new Headers();
  for (const name of ['content-type', 'content-range']) {
    const value = seen.headers[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  const answer = await fetch(new URL(seen.path, base), {
    method: seen.method,
    headers,
    ...(seen.body.byteLength > 0 && { body: Buffer.from(seen.body) }),
  });
  reply(
    response,
    answer.status,
    Object.fromEntries([...answer.headers].filter(([name]) => name === 'location')),
  );
}
