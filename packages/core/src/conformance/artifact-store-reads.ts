import type { ArtifactStore } from '../contracts/artifact-store.ts';
import { keys, live, read, roomy, streamOf } from './artifact-store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testReads({ describe, it, expect }: TestFunctions, current: () => ArtifactStore) {
  describe('get, list and delete', () => {
    it('does not find what is not there', async () => {
      const get = current().get('acme/a', live);
      await expect(get).rejects.toMatchObject({ code: 'not_found', retryable: false });
    });

    it('gives a body that is read after the call has ended', async () => {
      const store = current();
      await store.put('acme/a', streamOf('hello'), roomy, live);
      const abort = new AbortController();
      const body = await store.get('acme/a', { ...live, signal: abort.signal });
      abort.abort();
      expect(Buffer.concat(await Array.fromAsync(body)).toString()).toBe('hello');
    });

    it('holds nothing for bodies that are not read, or not to their end', async () => {
      const store = current();
      const large = Buffer.alloc(1024 ** 2, 'x');
      await store.put('acme/a', streamOf(large), roomy, live);
      // More than any client has connections by default.
      for (let count = 0; count < 120; count += 1) {
        const body = await store.get('acme/a', live);
        if (count % 2 === 0) for await (const _ of body) break;
      }
      expect(await read(store, 'acme/a')).toHaveLength(large.byteLength);
    });

    it('lists by the beginning of the key, with sizes', async () => {
      const store = current();
      for (const key of ['acme/sources/1', 'acme/sources/22', 'acme/logs/1', 'acme-2/a', 'b']) {
        await store.put(key, streamOf(key), roomy, live);
      }
      expect(await keys(store)).toHaveLength(5);
      expect(await keys(store, 'acme/')).toEqual([
        'acme/logs/1',
        'acme/sources/1',
        'acme/sources/22',
      ]);
      expect(await keys(store, 'acme')).toHaveLength(4);
      expect(await Array.fromAsync(store.list('acme/sources/2', live))).toEqual([
        { key: 'acme/sources/22', sizeBytes: 15 },
      ]);
      expect(await keys(store, 'other/')).toEqual([]);
    });

    it('deletes one artifact, and nothing where nothing is', async () => {
      const store = current();
      await store.put('acme/a', streamOf('1'), roomy, live);
      await store.put('acme/ab', streamOf('2'), roomy, live);
      await store.delete('acme/a', live);
      await store.delete('acme/a', live);
      await store.delete('acme', live);
      expect(await keys(store)).toEqual(['acme/ab']);
      await expect(store.get('acme', live)).rejects.toMatchObject({ code: 'not_found' });
      await expect(store.get('acme/ab/c', live)).rejects.toMatchObject({ code: 'not_found' });
    });
  });
}
