import { createS3ArtifactStore } from '@cygni/artifacts-s3';
import { HttpResponse, http } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { credentials } from './support/moto.ts';
import { roomy, sha256, storeAt, streamOf, testCall } from './support/store.ts';

// Answers that moto does not give, put in at the wire. What they look like is from AWS's documentation.
const endpoint = 'http://s3.test';
const object = `${endpoint}/artifacts/acme/a`;
const server = setupServer();
beforeAll(() => server.listen({ onUnhandledFrame: 'error' }));
afterEach(() => server.resetHandlers());
afterAll(() => server.close());

const store = storeAt({ endpoint, retry: { retries: 1, firstDelayMs: 1 } });
afterAll(() => store.close());

const xml = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;

/** [status, S3's code, ours, tries] */
const answers: readonly (readonly [number, string, string, number])[] = [
  [301, 'PermanentRedirect', 'invalid_configuration', 1],
  [400, 'AuthorizationHeaderMalformed', 'invalid_configuration', 1],
  [400, 'BadDigest', 'integrity', 2],
  [400, 'EntityTooLarge', 'too_large', 1],
  [400, 'ExpiredToken', 'forbidden', 1],
  [400, 'IncompleteBody', 'unavailable', 2],
  [400, 'RequestTimeout', 'timeout', 2],
  [400, 'SomethingNew', 'internal', 1],
  [403, 'AccessDenied', 'forbidden', 1],
  [403, 'InvalidAccessKeyId', 'forbidden', 1],
  [403, 'SignatureDoesNotMatch', 'forbidden', 1],
  [403, 'RequestTimeTooSkewed', 'unavailable', 2],
  [404, 'NoSuchBucket', 'invalid_configuration', 1],
  [409, 'ConditionalRequestConflict', 'unavailable', 2],
  [409, 'OperationAborted', 'unavailable', 2],
  [412, 'PreconditionFailed', 'conflict', 1],
  [429, 'TooManyRequests', 'rate_limited', 2],
  [500, 'InternalError', 'unavailable', 2],
  [501, 'NotImplemented', 'unsupported', 1],
  [503, 'SlowDown', 'rate_limited', 2],
];

describe('errors of S3, put in at the wire', () => {
  for (const [status, code, expected, tries] of answers) {
    it(`maps ${status} ${code} to ${expected}, after ${tries} tries`, async () => {
      let asked = 0;
      server.use(
        http.put(object, () => {
          asked += 1;
          return HttpResponse.xml(xml(code), { status });
        }),
        // Whether something was stored after all.
        http.head(object, () => new HttpResponse(null, { status: 404 })),
      );
      const put = store.put('acme/a', streamOf('x'), roomy, testCall());
      const retryable = tries > 1;
      await expect(put).rejects.toMatchObject({ code: expected, retryable });
      const failed = await put.catch((error) => error);
      expect(failed.cause).toBeInstanceOf(Error);
      expect(asked).toBe(tries);
    });
  }

  it('keeps what S3 repeats of the request out of the cause', async () => {
    const body = `<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><CanonicalRequest>x-amz-security-token:hunter2</CanonicalRequest></Error>`;
    server.use(http.put(object, () => HttpResponse.xml(body, { status: 403 })));
    const put = store.put('acme/a', streamOf('x'), roomy, testCall());
    const failed = await put.catch((error) => error);
    expect(failed.cause.name).toBe('SignatureDoesNotMatch');
    expect(JSON.stringify({ ...failed.cause, message: failed.cause.message })).not.toContain(
      'hunter2',
    );
  });

  it('is told by a HEAD that there is no bucket, or that it may not be used', async () => {
    for (const [status, code] of [
      [404, 'invalid_configuration'],
      [403, 'forbidden'],
      [301, 'invalid_configuration'],
    ] as const) {
      server.use(http.head(`${endpoint}/artifacts`, () => new HttpResponse(null, { status })));
      await expect(store.open(testCall())).rejects.toMatchObject({ code, retryable: false });
    }
  });

  const chunk = 'x'.repeat(50_000);
  const chunks = 100;
  /** Of an artifact whose checksum is said to be that of nothing: the number of GETs. */
  async function readDamaged(): Promise<number> {
    let gets = 0;
    server.use(
      http.head(object, () => {
        const headers = { etag: '"1"', 'content-length': String(chunk.length * chunks) };
        return new HttpResponse(null, { headers });
      }),
      http.get(object, () => {
        gets += 1;
        const headers = { etag: '"1"', 'x-amz-checksum-crc32': 'AAAAAA==' };
        let left = chunks;
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            if (left === 0) return controller.close();
            left -= 1;
            controller.enqueue(Buffer.from(chunk));
          },
        });
        return new HttpResponse(body, { headers });
      }),
    );
    const reading = Array.fromAsync(await store.get('acme/a', testCall()));
    await expect(reading).rejects.toMatchObject({ code: 'integrity' });
    return gets;
  }

  it('goes no further with bytes with a wrong checksum once some were handed out', async () => {
    expect(await readDamaged()).toBe(1);
  });

  it('says which artifacts a delete by prefix left behind', async () => {
    const found = `<ListBucketResult><Contents><Key>acme/a</Key><Size>1</Size></Contents></ListBucketResult>`;
    const refused = `<DeleteResult><Error><Key>acme/a</Key><Code>AccessDenied</Code></Error></DeleteResult>`;
    server.use(
      http.get(`${endpoint}/artifacts`, () => HttpResponse.xml(found)),
      http.post(`${endpoint}/artifacts`, () => HttpResponse.xml(refused)),
    );
    const deleting = store.deleteByPrefix('acme/', testCall());
    await expect(deleting).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('sends a checksum, the encryption and the condition with what it stores', async () => {
    const sent: Headers[] = [];
    server.use(
      http.put(object, ({ request }) => {
        sent.push(request.headers);
        return new HttpResponse(null, { headers: { etag: '"1"' } });
      }),
    );
    const serverSideEncryption = { algorithm: 'aws:kms', keyId: 'key-1' } as const;
    const encrypting = storeAt({ endpoint, serverSideEncryption });
    const options = { ...roomy, ifAbsent: true };
    await encrypting.put('acme/a', streamOf('hello'), options, testCall());
    expect(Object.fromEntries(sent[0] ?? [])).toMatchObject({
      'content-length': '5',
      'if-none-match': '*',
      // Of "hello".
      'x-amz-checksum-crc32': 'NhCmhg==',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
    });
    await encrypting.close();
  });

  it('hashes a body to sign it over plain HTTP only; over TLS the checksum is what is signed', async () => {
    const sent: (string | null)[] = [];
    const seen = ({ request }: { readonly request: Request }) => {
      sent.push(request.headers.get('x-amz-content-sha256'));
      expect(request.headers.get('authorization')).toMatch(/SignedHeaders=\S*x-amz-checksum-crc32/);
      return new HttpResponse(null, { headers: { etag: '"1"' } });
    };
    server.use(http.put(object, seen), http.put(object.replace('http:', 'https:'), seen));
    for (const address of [endpoint, endpoint.replace('http:', 'https:')]) {
      const over = storeAt({ endpoint: address });
      await over.put('acme/a', streamOf('hello'), roomy, testCall());
      await over.close();
    }
    expect(sent).toEqual([sha256('hello'), 'UNSIGNED-PAYLOAD']);
  });

  it('says what is missing when there are no credentials', async () => {
    const without = createS3ArtifactStore({
      bucket: 'artifacts',
      endpoint,
      credentials: async () => {
        throw Object.assign(new Error('none'), { name: 'CredentialsProviderError' });
      },
    });
    await expect(without.open(testCall())).rejects.toMatchObject({ code: 'invalid_configuration' });
    await expect(without.presignGet('acme/a', 60, testCall())).rejects.toMatchObject({
      code: 'invalid_configuration',
    });
    await without.close();
  });

  it('puts the bucket into the host name where path style is not asked for', async () => {
    const onAws = createS3ArtifactStore({ bucket: 'artifacts', region: 'eu-west-1', credentials });
    const { host, pathname } = await onAws.presignGet('acme/a', 60, testCall());
    expect([host, pathname]).toEqual(['artifacts.s3.eu-west-1.amazonaws.com', '/acme/a']);
    await onAws.close();
  });
});
