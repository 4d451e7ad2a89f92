import type { RegistryFixture } from './registry-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testRepositories(
  { describe, it, expect }: TestFunctions,
  current: () => RegistryFixture,
) {
  describe('repositories', () => {
    it('are made by any number of callers at once, and are empty then', async () => {
      const { registry, call, newName } = current();
      const name = newName();
      const calls = Array.from({ length: 8 }, () => registry.ensureRepository(name, call));
      await Promise.all(calls);
      expect(await registry.listTags(name, { limit: 10 }, call)).toEqual([]);
    });

    it('can be pushed to as soon as they were made', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const image = await push(repository, ['one']);
      expect((await registry.resolve(repository, 'one', call)).digest).toBe(image.digest);
    });

    it('keep what they hold when they are made once more', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const image = await push(repository, ['one']);
      await registry.ensureRepository(repository, call);
      expect((await registry.resolve(repository, 'one', call)).digest).toBe(image.digest);
    });

    it('have names as the OCI distribution spec has them', async () => {
      const { registry, call, prefix } = current();
      for (const name of ['', 'UPPER', `${prefix}/../other`, `${prefix}//x`, '-x', 'a b', 'x?y']) {
        const refused = { code: 'invalid_input', retryable: false };
        await expect(registry.ensureRepository(name, call)).rejects.toMatchObject(refused);
        await expect(registry.resolve(name, 'one', call)).rejects.toMatchObject(refused);
        await expect(registry.credentials(name, ['pull'], call)).rejects.toMatchObject(refused);
      }
    });
  });
}
