import { absentDigest, type RegistryFixture, type RegistryTraits } from './registry-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

export function testTags(
  { describe, it, expect }: TestFunctions,
  current: () => RegistryFixture,
  traits: RegistryTraits,
) {
  describe('tags', () => {
    it('name an image that is there, an index too', async () => {
      const { registry, call, newRepository, push, pushIndex } = current();
      const repository = await newRepository();
      const image = await push(repository, ['one']);
      const index = await pushIndex(repository, 'all', [image]);
      await registry.tag(repository, image.digest, 'two', call);
      await registry.tag(repository, index.digest, 'every', call);
      const digestOf = async (tag: string) =>
        (await registry.resolve(repository, tag, call)).digest;
      expect(await digestOf('one')).toBe(image.digest);
      expect(await digestOf('two')).toBe(image.digest);
      expect(await digestOf('every')).toBe(index.digest);
    });

    it('can be given again to the image that has them, by many at once too', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, []);
      const calls = Array.from({ length: 5 }, () => registry.tag(repository, digest, 'one', call));
      await Promise.all(calls);
      await registry.tag(repository, digest, 'one', call);
      expect(await registry.listTags(repository, { limit: 10 }, call)).toEqual(['one']);
    });

    it('name nothing that is not there', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      await push(repository, ['one']);
      await expect(registry.tag(repository, absentDigest, 'two', call)).rejects.toMatchObject({
        code: 'not_found',
        retryable: false,
      });
      expect(await registry.listTags(repository, { limit: 10 }, call)).toEqual(['one']);
    });

    it('have the form of tags', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, ['one']);
      for (const tag of ['', '-x', '.x', 'a/b', 'a b', 'a,b', 'x'.repeat(129)]) {
        await expect(registry.tag(repository, digest, tag, call)).rejects.toMatchObject({
          code: 'invalid_input',
          retryable: false,
        });
      }
    });

    if (traits.tags === 'mutable') {
      it('move to another image', async () => {
        const { registry, call, newRepository, push } = current();
        const repository = await newRepository();
        await push(repository, ['one']);
        const next = await push(repository, []);
        await registry.tag(repository, next.digest, 'one', call);
        expect((await registry.resolve(repository, 'one', call)).digest).toBe(next.digest);
      });
    } else {
      it('stay with the image that has them', async () => {
        const { registry, call, newRepository, push } = current();
        const repository = await newRepository();
        const first = await push(repository, ['one']);
        const next = await push(repository, []);
        await expect(registry.tag(repository, next.digest, 'one', call)).rejects.toMatchObject({
          code: 'conflict',
          retryable: false,
        });
        expect((await registry.resolve(repository, 'one', call)).digest).toBe(first.digest);
      });
    }

    it('are listed in lexical order, in pages that leave none out and repeat none', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      const tags = ['1.0', '9', '10', 'Z', '_x', 'a', 'a-1', 'a.1', 'a_1', 'b', 'latest'];
      await push(repository, tags.slice(0, 6).reverse());
      await push(repository, tags.slice(6));
      const expected = [...tags].sort();
      expect(await registry.listTags(repository, { limit: 100 }, call)).toEqual(expected);
      for (const limit of [1, 4, tags.length]) {
        const found: string[] = [];
        for (;;) {
          const after = found.at(-1);
          const page = { limit, ...(after === undefined ? {} : { after }) };
          const next = await registry.listTags(repository, page, call);
          expect(next.length <= limit).toBe(true);
          if (next.length === 0) break;
          found.push(...next);
        }
        expect(found).toEqual(expected);
      }
    });

    it('are listed after one that is not there, or is gone', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      await push(repository, ['a', 'c']);
      const page = { after: 'b', limit: 10 };
      expect(await registry.listTags(repository, page, call)).toEqual(['c']);
    });
  });
}
