import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { RepositoryLocation } from '@cygni/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate, type ServerCertificate } from '../../../e2e/support/certificates.ts';
import { createImageClient, type OciImageClient } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { type Embedded, embedded } from './support/embedded.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { type Listening, listen } from './support/listen.ts';
import { pushImage } from './support/push-image.ts';
import { reply } from './support/scripted-registry.ts';
import { type TemporaryDirectory, temporaryDirectory } from './support/temporary-directory.ts';

const call = callWith();
const image = imageSaying('over TLS');
const retry = { retries: 2, firstDelayMs: 1, longestDelayMs: 5 };
const publicAuthorities = getCACertificates('default');

async function pull(client: OciImageClient, location: RepositoryLocation): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await client.getBlob(location, sha256(image.layer), call)) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

describe('the image client and a registry with TLS, whose authority is a private one', () => {
  let directory: TemporaryDirectory;
  let certificate: ServerCertificate;
  let authority: string;
  let registry: Embedded;
  let secure: Listening;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    certificate = await makeCertificate(directory.path, '127.0.0.1');
    authority = await readFile(certificate.authorityFile, 'utf8');
    registry = await embedded();
    secure = await listen(registry.server.handle, certificate);
  });
  afterAll(async () => {
    await secure?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
    await directory?.[Symbol.asyncDispose]();
  });
  afterEach(() => setDefaultCACertificates(publicAuthorities));

  /** As NODE_EXTRA_CA_CERTS does it for a whole process. */
  const trustAuthority = () => setDefaultCACertificates([...publicAuthorities, authority]);

  function locationOn(
    { host }: Pick<Listening, 'host'>,
    repository = 'acme/site',
  ): RepositoryLocation {
    return {
      ...{ host, repository, insecure: false },
      credentials: { username: 'me', password: 'p', expiresAt: null, reach: 'repository' },
    };
  }

  it('pushes and pulls where the process trusts the authority', async () => {
    trustAuthority();
    await using client = createImageClient({ retry });
    await pushImage(client, locationOn(secure), image);
    expect(await pull(client, locationOn(secure))).toEqual(image.layer);
  });

  it('says that a certificate of an unknown authority is not accepted, which no other try changes', async () => {
    await using client = createImageClient({ retry });
    await expect(pushImage(client, locationOn(secure, 'acme/never'), image)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: false,
      message: expect.stringContaining(
        "the registry's certificate is not accepted (UNABLE_TO_VERIFY_LEAF_SIGNATURE)",
      ),
    });
    expect((await fetch(registry.url('acme/never/tags/list'))).status).toBe(404);
  });

  it('says that a certificate is for another name', async () => {
    trustAuthority();
    await using client = createImageClient({ retry });
    const elsewhere = locationOn({ host: `localhost:${secure.port}` });
    await expect(pull(client, elsewhere)).rejects.toMatchObject({
      code: 'unavailable',
      retryable: false,
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
  });

  it('says that a registry does not speak TLS', async () => {
    await using client = createImageClient({ retry });
    await expect(pull(client, locationOn(registry))).rejects.toMatchObject({
      code: 'unavailable',
      retryable: false,
      message: expect.stringContaining('no TLS connection to the registry can be made'),
    });
  });

  /** Over TLS; it lets in who has the token of `realm`. */
  function tokenRegistry(realm: () => string): Promise<Listening> {
    return listen((request, response) => {
      const { authorization = '' } = request.headers;
      if (request.url?.startsWith('/token')) issue(authorization, response);
      else if (authorization === 'Bearer issued') registry.server.handle(request, response);
      else {
        reply(response, 401, { 'www-authenticate': `Bearer realm="${realm()}",service="r"` });
      }
    }, certificate);
  }

  function issue(authorization: string, response: ServerResponse): void {
    const expected = `Basic ${btoa('me:p')}`;
    const body = JSON.stringify({ token: authorization === expected ? 'issued' : 'worthless' });
    reply(response, 200, { 'content-type': 'application/json' }, body);
  }

  it('gets its token from a token server with TLS', async () => {
    trustAuthority();
    await using guarded = await tokenRegistry(() => `https://${guarded.host}/token`);
    await using client = createImageClient({ retry });
    await pushImage(client, locationOn(guarded), image);
    expect(await pull(client, locationOn(guarded))).toEqual(image.layer);
  });

  it('takes its credentials to no token server in clear text', async () => {
    trustAuthority();
    const asked: string[] = [];
    await using eavesdropper = await listen((request, response) => {
      asked.push(request.url ?? '');
      issue(request.headers.authorization ?? '', response);
    });
    await using guarded = await tokenRegistry(() => `http://${eavesdropper.host}/token`);
    await using client = createImageClient({ retry });
    await expect(pull(client, locationOn(guarded))).rejects.toMatchObject({ code: 'forbidden' });
    expect(asked).toEqual([]);
  });

  it('follows no redirect out of TLS', async () => {
    trustAuthority();
    const asked: string[] = [];
    await using elsewhere = await listen((request, response) => {
      asked.push(request.url ?? '');
      reply(response, 200, {}, image.layer);
    });
    await using leading = await listen((_, response) => {
      reply(response, 307, { location: `http://${elsewhere.host}/layer` });
    }, certificate);
    await using client = createImageClient({ retry });
    await expect(pull(client, locationOn(leading))).rejects.toMatchObject({
      code: 'unavailable',
      retryable: false,
      message: expect.stringContaining('leads to a http: address'),
    });
    expect(asked).toEqual([]);
  });
});
