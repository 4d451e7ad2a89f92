import type { ArtifactStore } from '../contracts/artifact-store.ts';
import { keys, live, read, roomy, sha256, streamOf } from './artifact-store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testPresigning(
  { describe, it, expect }: TestFunctions,
  current: () => ArtifactStore,
) {
  const body = 'uploaded by someone else';
  const put = { expiresInSeconds: 60, sizeBytes: body.length, sha256: sha256(body) };

  describe('presigned addresses', () => {
    it('can be read, or are said to be unsupported', async () => {
      const store = current();
      if (!store.supports.presign) {
        const presigned = store.presignGet('acme/a', 60, live);
        await expect(presigned).rejects.toMatchObject({ code: 'unsupported', retryable: false });
        return;
      }
      await store.put('acme/a', streamOf('hello'), roomy, live);
      const url = await store.presignGet('acme/a', 60, live);
      expect(await (await fetch(url)).text()).toBe('hello');
    });

    it('can be written to, or are said to be unsupported', async () => {
      const store = current();
      if (!store.supports.presign) {
        const presigned = store.presignPut('acme/a', put, live);
        await expect(presigned).rejects.toMatchObject({ code: 'unsupported', retryable: false });
        return;
      }
      const { url, headers } = await store.presignPut('acme/a', put, live);
      expect(await keys(store)).toEqual([]);
      const answer = await fetch(url, { method: 'PUT', body, headers });
      expect(answer.status).toBe(200);
      expect((await read(store, 'acme/a')).toString()).toBe(body);
    });

    it('refuse a time, a size or a digest that makes no sense', async () => {
      const store = current();
      if (!store.supports.presign) return;
      const refused = { code: 'invalid_input' };
      for (const seconds of [0, -1, 1.5, 8 * 24 * 60 * 60, Number.NaN]) {
        await expect(store.presignGet('acme/a', seconds, live)).rejects.toMatchObject(refused);
      }
      for (const wrong of [{ sizeBytes: -1 }, { sha256: 'x' }, { expiresInSeconds: 0 }]) {
        const presigned = store.presignPut('acme/a', { ...put, ...wrong }, live);
        await expect(presigned).rejects.toMatchObject(refused);
      }
    });
  });
}
