import { setTimeout as delay } from 'node:timers/promises';
import { mediaTypes } from '@cygni/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createImageClient } from '../src/index.ts';
import { callWith } from './support/call.ts';
import {
  type DebianRegistry,
  debianCredentials,
  debianRegistry,
  debianRegistryPresent,
} from './support/debian-registry.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { type TokenServer, tokenServer } from './support/token-server.ts';

const call = callWith(AbortSignal.timeout(60_000));
const image = imageSaying('behind a signature');
const present = await debianRegistryPresent();

describe.skipIf(!present)('the image client and signed tokens, judged by docker-registry', () => {
  let tokens: TokenServer;
  let registry: DebianRegistry;
  beforeEach(async () => {
    tokens = await tokenServer();
    registry = await debianRegistry({ token: tokens.auth });
  });
  afterEach(async () => {
    await registry?.[Symbol.asyncDispose]();
    await tokens?.[Symbol.asyncDispose]();
  });

  function location(password = debianCredentials.password) {
    const { username } = debianCredentials;
    const credentials = { username, password, expiresAt: null, reach: 'account' as const };
    return { host: registry.host, repository: 'acme/site', insecure: true, credentials };
  }

  const blobOf = (bytes: Uint8Array, before: () => Promise<void> = async () => {}) => ({
    digest: sha256(bytes),
    sizeBytes: bytes.byteLength,
    async *open() {
      await before();
      yield bytes;
    },
  });

  /** Until the registry itself takes the token for expired. */
  async function refusal(token: string): Promise<void> {
    for (;;) {
      const response = await fetch(`http://${registry.host}/v2/`, {
        headers: { authorization: `Bearer ${token}` },
        signal: call.signal,
      });
      await response.arrayBuffer();
      if (response.status === 401) return;
      await delay(100, undefined, { signal: call.signal });
    }
  }

  it('gets a new token when one ends in the middle of a push', async () => {
    await using client = createImageClient({ monolithicBytes: 0 });
    // Long enough for the first request, on a machine with much to do.
    tokens.tokenSeconds = 5;
    await client.putBlob(location(), blobOf(image.config), call);
    const held = tokens.issued.length;
    // The layer is on its way when the token ends.
    const expiring = async () => {
      if (tokens.tokenSeconds === 300) return;
      await refusal(tokens.issued.at(-1) ?? '');
      tokens.tokenSeconds = 300;
    };
    await client.putBlob(location(), blobOf(image.layer, expiring), call);
    const manifest = { mediaType: mediaTypes.ociManifest, bytes: image.manifest };
    expect(await client.putManifest(location(), 'one', manifest, call)).toBe(image.digest);
    expect(tokens.issued.length).toBeGreaterThan(held);
    expect((await client.getManifest(location(), 'one', call)).digest).toBe(image.digest);
  });

  it('is refused with a password that the token server does not know', async () => {
    await using client = createImageClient();
    const blob = blobOf(image.config);
    await expect(client.putBlob(location('wrong'), blob, call)).rejects.toMatchObject({
      code: 'forbidden',
      retryable: false,
    });
  });
});
