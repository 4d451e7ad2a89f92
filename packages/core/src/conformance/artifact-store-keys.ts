import type { ArtifactStore } from '../contracts/artifact-store.ts';
import { live, roomy, streamOf } from './artifact-store-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const malformed = [
  '',
  '/',
  '/etc/passwd',
  '../x',
  'a/../b',
  'a/./b',
  'a//b',
  'a/',
  '.hidden',
  'a\0b',
  'a\nb',
  'a b',
  'a\\b',
  'a%2e%2e/b',
  'ä',
  'a'.repeat(201),
  `${'a/'.repeat(256)}a`,
];

export function testArtifactKeys(
  { describe, it, expect }: TestFunctions,
  current: () => ArtifactStore,
) {
  describe('keys', () => {
    for (const key of malformed) {
      it(`refuses ${JSON.stringify(key).slice(0, 30)}`, async () => {
        const store = current();
        const refused = { code: 'invalid_input' };
        await expect(store.put(key, streamOf('x'), roomy, live)).rejects.toMatchObject(refused);
        await expect(store.get(key, live)).rejects.toMatchObject(refused);
        await expect(store.delete(key, live)).rejects.toMatchObject(refused);
        if (store.supports.presign) {
          await expect(store.presignGet(key, 60, live)).rejects.toMatchObject(refused);
        }
        expect(await Array.fromAsync(store.list('', live))).toEqual([]);
      });
    }

    it('refuses a malformed prefix', async () => {
      for (const prefix of ['../', '/', 'a//', 'a\0']) {
        const list = Array.fromAsync(current().list(prefix, live));
        await expect(list).rejects.toMatchObject({ code: 'invalid_input' });
      }
    });

    it('takes the longest there are', async () => {
      const store = current();
      const key = `${'a'.repeat(200)}/${'b'.repeat(200)}/${'c'.repeat(108)}-z`;
      await store.put(key, streamOf('x'), roomy, live);
      expect(await Array.fromAsync(store.list(key, live))).toEqual([{ key, sizeBytes: 1 }]);
    });
  });
}
