import { afterAll, describe, expect, it } from 'vitest';
import { sha256, storeAt, testCall } from './support/store.ts';

// What a server makes of it is in signatures.test.ts.
const store = storeAt({
  endpoint: 'https://minio.test:9000',
  prefix: 'cygni',
  serverSideEncryption: { algorithm: 'AES256' },
});
afterAll(() => store.close());

const digest = sha256('hello');
const put = { expiresInSeconds: 60, sizeBytes: 5, sha256: digest };

describe('what is signed', () => {
  it('is one artifact and its expiry in a GET, and nothing that the reader would have to know', async () => {
    const url = await store.presignGet('acme/a', 90, testCall());
    expect(url.origin + url.pathname).toBe('https://minio.test:9000/artifacts/cygni/acme/a');
    expect(url.searchParams.get('X-Amz-Expires')).toBe('90');
    expect(url.searchParams.get('X-Amz-SignedHeaders')).toBe('host');
    expect([...url.searchParams.keys()].filter((name) => /checksum/i.test(name))).toEqual([]);
  });

  it('is size, digest and encryption in a PUT, each in a header that must be sent', async () => {
    const { url, headers } = await store.presignPut('acme/a', put, testCall());
    expect(url.searchParams.get('X-Amz-Expires')).toBe('60');
    expect(url.searchParams.get('X-Amz-SignedHeaders')?.split(';')).toEqual([
      'content-length',
      'host',
      'x-amz-checksum-sha256',
      'x-amz-server-side-encryption',
    ]);
    expect(headers).toEqual({
      'content-length': '5',
      'x-amz-checksum-sha256': Buffer.from(digest, 'hex').toString('base64'),
      'x-amz-server-side-encryption': 'AES256',
    });
  });

  it('holds no checksum of an empty body, which the SDK adds by default', async () => {
    const { url } = await store.presignPut('acme/a', put, testCall());
    expect(url.href).not.toMatch(/crc32|sdk-checksum/i);
  });

  it('differs by artifact, size and digest', async () => {
    const others = [
      store.presignPut('acme/a', put, testCall()),
      store.presignPut('acme/b', put, testCall()),
      store.presignPut('acme/a', { ...put, sizeBytes: 6 }, testCall()),
      store.presignPut('acme/a', { ...put, sha256: sha256('other') }, testCall()),
    ];
    const urls = (await Promise.all(others)).map(({ url }) => url);
    const signatures = urls.map(({ searchParams }) => searchParams.get('X-Amz-Signature'));
    expect(new Set(signatures).size).toBe(4);
  });
});
