import { absentDigest, type RegistryFixture } from './registry-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testDeletion(
  { describe, it, expect }: TestFunctions,
  current: () => RegistryFixture,
) {
  const missing = { code: 'not_found', retryable: false };

  describe('deleting an image', () => {
    it('takes its tags with it and leaves the others alone', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const gone = await push(repository, ['one', 'two']);
      const kept = await push(repository, ['three']);
      await registry.deleteImage(repository, gone.digest, call);
      for (const reference of ['one', 'two', gone.digest]) {
        await expect(registry.resolve(repository, reference, call)).rejects.toMatchObject(missing);
      }
      expect(await registry.listTags(repository, { limit: 10 }, call)).toEqual(['three']);
      const found = await registry.resolve(repository, 'three', call);
      expect([found.digest, found.sizeBytes]).toEqual([kept.digest, kept.sizeBytes]);
    });

    it('succeeds as often as it is asked for, by many at once too', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, ['one']);
      const calls = Array.from({ length: 5 }, () => registry.deleteImage(repository, digest, call));
      await Promise.all(calls);
      await registry.deleteImage(repository, digest, call);
      await expect(registry.resolve(repository, digest, call)).rejects.toMatchObject(missing);
    });

    it('succeeds where there never was one', async () => {
      const { registry, call, newName, newRepository } = current();
      await registry.deleteImage(await newRepository(), absentDigest, call);
      await registry.deleteImage(newName(), absentDigest, call);
    });

    it('takes an index and leaves the images of its platforms', async () => {
      const { registry, call, newRepository, push, pushIndex } = current();
      const repository = await newRepository();
      const image = await push(repository, ['one']);
      const index = await pushIndex(repository, 'all', [image]);
      await registry.deleteImage(repository, index.digest, call);
      await expect(registry.resolve(repository, 'all', call)).rejects.toMatchObject(missing);
      expect((await registry.resolve(repository, 'one', call)).digest).toBe(image.digest);
    });
  });
}
