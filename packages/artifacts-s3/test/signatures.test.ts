import { randomUUID } from 'node:crypto';
import type { S3ArtifactStore } from '@cygni/artifacts-s3';
import { artifactStoreConformance } from '@cygni/core/conformance';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { read, roomy, sha256, storeAt, streamOf, testCall } from './support/store.ts';
import {
  startVersityGateway,
  type VersityGateway,
  versitygwIsMissing,
} from './support/versitygw.ts';

const body = 'uploaded by someone else';
const put = { expiresInSeconds: 60, sizeBytes: body.length, sha256: sha256(body) };

describe.skipIf(versitygwIsMissing)('in an S3 that checks what is signed (versitygw)', () => {
  let server: VersityGateway;
  beforeAll(async () => {
    server = await startVersityGateway();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const open = (): S3ArtifactStore =>
    storeAt({ prefix: `test/${randomUUID()}`, endpoint: server.endpoint, region: 'us-east-1' });

  artifactStoreConformance(
    { describe, it, expect, beforeEach, afterEach },
    { create: async () => ({ store: open(), async dispose() {} }) },
  );

  describe('a presigned address', () => {
    let store: S3ArtifactStore;
    beforeEach(async () => {
      store = open();
      await store.put('acme/a', streamOf('hello'), roomy, testCall());
    });
    afterEach(async () => {
      vi.useRealTimers();
      await store?.close();
    });

    /** What is signed meanwhile was signed so long ago. */
    function goBack(seconds: number): void {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - seconds * 1000 });
    }

    async function refusal(url: URL, request: RequestInit = {}): Promise<string> {
      const answer = await fetch(url, request);
      expect(answer.ok).toBe(false);
      return /<Code>(\w+)<\/Code>/.exec(await answer.text())?.[1] ?? `status ${answer.status}`;
    }

    it('reads until its time is over', async () => {
      goBack(55);
      const good = await store.presignGet('acme/a', 60, testCall());
      const expired = await store.presignGet('acme/a', 50, testCall());
      vi.useRealTimers();
      expect(await (await fetch(good)).text()).toBe('hello');
      expect(await refusal(expired)).toBe('AccessDenied');
    });

    it('reads what it was signed for, and only if it was signed', async () => {
      await store.put('acme/b', streamOf('secret'), roomy, testCall());
      const url = await store.presignGet('acme/a', 60, testCall());
      const other = new URL(url.href.replace('/acme/a', '/acme/b'));
      expect(await refusal(other)).toBe('SignatureDoesNotMatch');
      const longer = new URL(url);
      longer.searchParams.set('X-Amz-Expires', '3600');
      expect(await refusal(longer)).toBe('SignatureDoesNotMatch');
      const unsigned = new URL(url.pathname, url);
      expect(await refusal(unsigned)).toBe('AccessDenied');
      expect(await refusal(url, { method: 'DELETE' })).toBe('SignatureDoesNotMatch');
    });

    it('takes the body that it was signed for', async () => {
      const { url, headers } = await store.presignPut('acme/new', put, testCall());
      expect((await fetch(url, { method: 'PUT', body, headers })).status).toBe(200);
      expect((await read(store, 'acme/new')).toString()).toBe(body);
    });

    it('takes no body after its time', async () => {
      goBack(120);
      const { url, headers } = await store.presignPut('acme/new', put, testCall());
      vi.useRealTimers();
      expect(await refusal(url, { method: 'PUT', body, headers })).toBe('AccessDenied');
    });

    const others: Readonly<Record<string, { readonly sent: string; readonly digest?: string }>> = {
      'another body of the same size': { sent: 'downloaded by nobody ...' },
      'another body that admits to its own digest': {
        sent: 'downloaded by nobody ...',
        digest: sha256('downloaded by nobody ...'),
      },
      'a longer body': { sent: `${body}!` },
      'a shorter body': { sent: body.slice(1) },
    };
    it.each(Object.entries(others))('refuses %s', async (_, { sent, digest }) => {
      const { url, headers } = await store.presignPut('acme/new', put, testCall());
      const checksum = Buffer.from(digest ?? put.sha256, 'hex').toString('base64');
      await refusal(url, {
        method: 'PUT',
        body: sent,
        headers: {
          ...headers,
          'content-length': String(sent.length),
          'x-amz-checksum-sha256': checksum,
        },
      });
      await expect(store.get('acme/new', testCall())).rejects.toMatchObject({ code: 'not_found' });
    });

    it('refuses a body without the digest that it was signed with', async () => {
      const { url } = await store.presignPut('acme/new', put, testCall());
      expect(await refusal(url, { method: 'PUT', body })).toBe('SignatureDoesNotMatch');
    });
  });
});
