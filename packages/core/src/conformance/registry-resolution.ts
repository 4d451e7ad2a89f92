import { mediaTypes } from '../model/image.ts';
import { absentDigest, type RegistryFixture } from './registry-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testResolution(
  { describe, it, expect }: TestFunctions,
  current: () => RegistryFixture,
) {
  describe('resolving', () => {
    it('finds an image by tag and by digest', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const { digest, sizeBytes } = await push(repository, ['one']);
      for (const reference of ['one', digest]) {
        expect(await registry.resolve(repository, reference, call)).toEqual({
          digest,
          mediaType: mediaTypes.ociManifest,
          sizeBytes,
        });
      }
    });

    it('finds an image that has no tag', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, []);
      expect((await registry.resolve(repository, digest, call)).digest).toBe(digest);
    });

    it('counts all platforms of an index, and content that they share once', async () => {
      const { registry, call, newRepository, push, pushIndex } = current();
      const repository = await newRepository();
      const amd = await push(repository, [], { architecture: 'amd64' });
      const arm = await push(repository, [], { architecture: 'arm64' });
      const index = await pushIndex(repository, 'all', [arm, amd]);
      for (const reference of ['all', index.digest]) {
        expect(await registry.resolve(repository, reference, call)).toEqual({
          digest: index.digest,
          mediaType: mediaTypes.ociIndex,
          sizeBytes: index.bytes + amd.sizeBytes + arm.sizeBytes - arm.layerBytes,
        });
      }
    });

    it('says not_found of a tag, a digest and a repository that are not there', async () => {
      const { registry, call, newName, newRepository, push } = current();
      const repository = await newRepository();
      await push(repository, ['one']);
      const missing = { code: 'not_found', retryable: false };
      for (const reference of ['two', absentDigest]) {
        await expect(registry.resolve(repository, reference, call)).rejects.toMatchObject(missing);
        await expect(registry.resolve(newName(), reference, call)).rejects.toMatchObject(missing);
      }
    });

    it('takes nothing for a reference that is neither a tag nor a digest', async () => {
      const { registry, call, newRepository } = current();
      const repository = await newRepository();
      for (const reference of ['', '-x', '../one', 'a b', 'sha256:short', 'x'.repeat(129)]) {
        await expect(registry.resolve(repository, reference, call)).rejects.toMatchObject({
          code: 'invalid_input',
          retryable: false,
        });
      }
    });
  });
}
