import { randomBytes } from 'node:crypto';
import type { ArtifactStore } from '../contracts/artifact-store.ts';
import type { Call } from '../contracts/call.ts';
import { keys, live, read, roomy, sha256, streamOf } from './artifact-store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

/** Above the size at which stores begin to send in parts. */
const largeBytes = 20 * 1024 ** 2 + 7;

export function testPuts({ describe, it, expect }: TestFunctions, current: () => ArtifactStore) {
  /** By how the body ends: what the put rejects with. */
  const failing: Readonly<Record<string, (store: ArtifactStore, begin: Uint8Array) => unknown>> = {
    'is too large': async (store, begin) => {
      const limit = { maximumBytes: begin.byteLength };
      const put = store.put('acme/a', streamOf(begin, 'x'), limit, live);
      await expect(put).rejects.toMatchObject({ code: 'too_large' });
    },
    fails: async (store, begin) => {
      const gone = new Error('the client has gone');
      async function* body() {
        yield begin;
        throw gone;
      }
      const rejected = await store.put('acme/a', body(), roomy, live).catch((error) => error);
      expect(rejected).toBe(gone);
    },
    'is aborted': async (store, begin) => {
      const abort = new AbortController();
      async function* body() {
        yield begin;
        abort.abort();
        yield begin;
      }
      const put = store.put('acme/a', body(), roomy, { ...live, signal: abort.signal });
      await expect(put).rejects.toMatchObject({ code: 'aborted' });
    },
  };

  describe('put', () => {
    it('tells size and hash of what it stored, and gives it back', async () => {
      const store = current();
      const stored = await store.put('acme/a', streamOf('hel', '', 'lo'), roomy, live);
      expect(stored).toEqual({ key: 'acme/a', sizeBytes: 5, sha256: sha256('hello') });
      expect((await read(store, 'acme/a')).toString()).toBe('hello');
    });

    it('stores an empty body', async () => {
      const store = current();
      const stored = await store.put('acme/a', streamOf(), roomy, live);
      expect(stored).toEqual({ key: 'acme/a', sizeBytes: 0, sha256: sha256('') });
      expect(await read(store, 'acme/a')).toHaveLength(0);
    });

    it('stores a large body that comes in chunks of any size, and takes exactly what is allowed', async () => {
      const store = current();
      const bytes = randomBytes(largeBytes);
      const cuts = [0, 1, 70_000, 8 * 1024 ** 2, 8 * 1024 ** 2 + 1, 16 * 1024 ** 2, largeBytes];
      const chunks = cuts.slice(1).map((cut, index) => bytes.subarray(cuts[index], cut));
      const limit = { maximumBytes: largeBytes };
      const stored = await store.put('acme/a', streamOf(...chunks), limit, live);
      expect(stored).toEqual({ key: 'acme/a', sizeBytes: largeBytes, sha256: sha256(bytes) });
      expect(sha256(await read(store, 'acme/a'))).toBe(sha256(bytes));
    });

    it('replaces what was there', async () => {
      const store = current();
      await store.put('acme/a', streamOf('one, longer'), roomy, live);
      await store.put('acme/a', streamOf('two'), roomy, live);
      expect((await read(store, 'acme/a')).toString()).toBe('two');
      expect(await keys(store)).toEqual(['acme/a']);
    });

    for (const [how, put] of Object.entries(failing)) {
      for (const [size, sizeBytes] of [
        ['small', 5],
        ['large', largeBytes],
      ] as const) {
        it(`keeps nothing of a ${size} body that ${how}, and what was there before as it was`, async () => {
          const store = current();
          const begin = Buffer.alloc(sizeBytes, 'x');
          await put(store, begin);
          expect(await keys(store)).toEqual([]);
          await store.put('acme/a', streamOf('before'), roomy, live);
          await put(store, begin);
          expect((await read(store, 'acme/a')).toString()).toBe('before');
        });
      }
    }

    it('ends a put that is aborted while its body has nothing to say, and tells the body', async () => {
      const store = current();
      const abort = new AbortController();
      let told = false;
      const body: AsyncIterable<Uint8Array> = {
        [Symbol.asyncIterator]: () => ({
          next() {
            queueMicrotask(() => abort.abort());
            return new Promise(() => {});
          },
          async return() {
            told = true;
            return { done: true, value: undefined };
          },
        }),
      };
      const put = store.put('acme/a', body, roomy, { ...live, signal: abort.signal });
      await expect(put).rejects.toMatchObject({ code: 'aborted' });
      expect(told).toBe(true);
    });

    it('shows readers all of one body or all of the other, while both are put again and again', async () => {
      const store = current();
      const bodies = ['a'.repeat(100_000), 'b'.repeat(50_000)];
      const put = (body: string) => store.put('acme/a', streamOf(body), roomy, live);
      await put('a'.repeat(100_000));
      for (let round = 0; round < 5; round += 1) {
        const writes = Promise.all(bodies.map(put));
        // A reader may also be told that what it was reading has been replaced.
        const reads = await Promise.allSettled([read(store, 'acme/a'), read(store, 'acme/a')]);
        await writes;
        for (const result of reads) {
          if (result.status === 'fulfilled') {
            expect(bodies.includes(result.value.toString())).toBe(true);
          } else {
            expect(result.reason).toMatchObject({ code: 'conflict' });
          }
        }
      }
    });

    it('lets one of many puts through where nothing may be there', async () => {
      const store = current();
      const options = { ...roomy, ifAbsent: true };
      const put = (body: string, call: Call = live) =>
        store.put('acme/a', streamOf(body), options, call);
      if (!store.supports.ifAbsent) {
        await expect(put('x')).rejects.toMatchObject({ code: 'unsupported' });
        return;
      }
      const bodies = ['one', 'two', 'three', 'four', 'five'];
      const results = await Promise.allSettled(bodies.map((body) => put(body)));
      const winners = bodies.filter((_, index) => results[index]?.status === 'fulfilled');
      expect(winners).toHaveLength(1);
      expect((await read(store, 'acme/a')).toString()).toBe(winners[0]);
      await expect(put('late')).rejects.toMatchObject({ code: 'conflict', retryable: false });
      expect((await read(store, 'acme/a')).toString()).toBe(winners[0]);
      await store.delete('acme/a', live);
      await put('again');
    });
  });
}
