import type { ArtifactStore } from '../contracts/artifact-store.ts';
import type { Call } from '../contracts/call.ts';
import { keys, live, roomy, sha256, streamOf } from './artifact-store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testArtifactLifecycle(
  { describe, it, expect }: TestFunctions,
  current: () => ArtifactStore,
) {
  const put = { expiresInSeconds: 60, sizeBytes: 1, sha256: sha256('x') };
  const every: {
    readonly [Method in keyof Omit<ArtifactStore, 'specVersion' | 'name' | 'supports' | 'close'>]: (
      store: ArtifactStore,
      call: Call,
    ) => Promise<unknown>;
  } = {
    open: (store, call) => store.open(call),
    put: (store, call) => store.put('acme/b', streamOf('x'), roomy, call),
    get: (store, call) => store.get('acme/a', call),
    delete: (store, call) => store.delete('acme/a', call),
    list: (store, call) => Array.fromAsync(store.list('', call)),
    presignGet: (store, call) => store.presignGet('acme/a', 60, call),
    presignPut: (store, call) => store.presignPut('acme/a', put, call),
  };

  describe('the life of an artifact store', () => {
    it('opens and closes any number of times', async () => {
      const store = current();
      await Promise.all([store.open(live), store.open(live)]);
      await Promise.all([store.close(), store.close()]);
      await store.close();
    });

    for (const [name, method] of Object.entries(every)) {
      it(`does not ${name} for a call that is aborted`, async () => {
        const store = current();
        await store.put('acme/a', streamOf('x'), roomy, live);
        const answer = method(store, { ...live, signal: AbortSignal.abort() });
        await expect(answer).rejects.toMatchObject({ code: 'aborted', retryable: false });
        expect(await keys(store)).toEqual(['acme/a']);
      });

      it(`does not ${name} once it is closed`, async () => {
        const store = current();
        await store.close();
        const answer = method(store, live);
        await expect(answer).rejects.toMatchObject({ code: 'closed', retryable: false });
      });
    }
  });
}
